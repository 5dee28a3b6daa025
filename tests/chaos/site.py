"""A site for the campaign: Postfix in front, filterd, a sink on disk behind it, and PostgreSQL if that is the store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from tests.chaos import terms
from tests.chaos.facts import Copy, read_copies
from tests.chaos.letters import DOMAIN
from tests.chaos.nursery import Nursery
from tests.kit.node import Node, new_folder, remove_folder
from tests.kit.postfix import HOSTNAME, Ports, PrivatePostfix
from tests.kit.postgres import Postgres

Store = Literal["sqlite", "postgresql"]

# No account is held back for its volume, and no text model is loaded.
_OFF = {"enabled": False}
_PLENTY = 1_000_000


class ChaosSite:
    """The servers of one campaign. Use as a context manager."""

    def __init__(self, *, logins: tuple[str, ...], store: Store, workers: int):
        self.store, self.workers = store, workers
        self.folder = new_folder()
        self.weather_file = self.folder / "weather.json"
        self.sink_file = self.folder / "sink.jsonl"
        self.plan = self.folder / "plan"
        self.plan.mkdir()
        self.terms = self.folder / "terms"
        self.ports = Ports.choose()
        self.postfix = PrivatePostfix(ports=self.ports, logins=logins, mailboxes=(), domains=(DOMAIN,))
        self.postgres = Postgres() if store == "postgresql" else None
        self.node = Node(folder=self.folder, config={}, workers=workers)
        self._sink: subprocess.Popen[str] | None = None
        self._nursery: Nursery | None = None

    def __enter__(self) -> ChaosSite:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        self.postfix.start()
        url = None
        if self.postgres is not None:
            url = self.postgres.start().new_database()
        self.set_weather()
        command = [sys.executable, "-m", "tests.chaos.sink", str(self.ports.wire), str(self.sink_file)]
        command = ["setpriv", "--pdeathsig", "KILL", "--", *command, str(self.weather_file)]
        self._sink = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._sink.stdout is not None
        if self._sink.stdout.readline() != "ready\n":
            raise RuntimeError("the sink has not started")
        # A folder of its own: every TOML file in it is an agreement.
        self.terms.mkdir()
        terms.write(self.terms)
        self.node.config = self._config(url)
        metrics = self.folder / "state" / "metrics" if self.workers else None
        self._nursery = Nursery(self.node.log_file, metrics=metrics, env={"FILTERD_KILL_PLAN": str(self.plan)})
        self.node.launch = self._nursery.start

    def close(self) -> None:
        self.node.kill()
        if self._nursery is not None:
            self._nursery.close()
        if self._sink is not None:
            self._sink.kill()
            self._sink.wait()
        if self.postgres is not None:
            self.postgres.close()
        self.postfix.stop()
        remove_folder(self.folder)

    def versions(self) -> dict[str, str]:
        """Say which servers there are, and their versions."""
        postgresql = {} if self.postgres is None else {"postgresql": self.postgres.version}
        return {"postfix": self.postfix.version} | postgresql

    # --- the sink -----------------------------------------------------------------------------------------------------

    def set_weather(self, *, slow_s: float = 0.0, drop: float = 0.0, cut: float = 0.0, refuse: float = 0.0) -> None:
        """Say how the sink behaves from the next message on (tests/chaos/sink)."""
        fresh = self.weather_file.with_suffix(".new")
        fresh.write_text(json.dumps({"slow_s": slow_s, "drop": drop, "cut": cut, "refuse": refuse}))
        os.replace(fresh, self.weather_file)

    def copies(self) -> list[Copy]:
        return read_copies(self.sink_file)

    # --- filterd ------------------------------------------------------------------------------------------------------

    def _config(self, url: str | None) -> dict[str, Any]:
        ports = self.ports
        common = {"hostname": f"filterd.{HOSTNAME}", "trusted_peers": ["127.0.0.0/8"]}
        mx = common | {"name": "mx", "port": ports.filterd_mx, "direction": "inbound", "attribution": "none"}
        submission = common | {
            "name": "submission",
            "port": ports.filterd_submission,
            "attribution": "received",
            "received_by": HOSTNAME,
        }
        return ({"ledger": {"url": url}} if url else {}) | {
            "listener": [mx, submission],
            "policy_service": {"port": ports.policy},
            "next_hop": {"address": f"127.0.0.1:{ports.wire}", "helo": f"filterd.{HOSTNAME}"},
            "agreement": {"directory": str(self.terms), "default": terms.AGREEMENT},
            "accounts": {"max_auto_created_per_day": _PLENTY},
            "links": {"feed": str(self.terms / "feed.txt")},
            # At once: so that there are many notices to kill at.
            "notices": {"sender": "Policy <policy@provider.example>", "merge_s": 0},
            "clamd": _OFF,
            "spam": _OFF,
            "content": _OFF,
            "authentication": _OFF,
            "pii": _OFF,
            "http": _OFF,
        }


def state_files(folder: Path) -> set[str]:
    """Say the names of all files below a folder."""
    return {path.name for path in folder.rglob("*") if path.is_file()}
