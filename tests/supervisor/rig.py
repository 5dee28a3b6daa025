"""A filterd in processes of its own, a next hop that writes everything down, and people who do not stop sending."""

from __future__ import annotations

import itertools
import re
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from filterd.share import path as shared
from tests.e2e import letters
from tests.kit.client import Letter, Reply, SmtpClient
from tests.kit.node import Node, merged, new_folder, remove_folder
from tests.kit.servers import WireSink, free_ports
from tests.kit.waiting import PATIENCE_S, wait_until

ALICE, MALLORY = "alice@corp.example", "mallory@corp.example"
CUSTOMER = "customer@customers.example"
_MESSAGE_ID = re.compile(rb"^message-id: <([^>]+)>", re.IGNORECASE | re.MULTILINE)


@dataclass
class Rig:
    """One node and what stands around it. Mail is believed about its login (XCLIENT), and spam is a violation."""

    node: Node
    sink: WireSink
    port: int
    http: int
    agreements: Path

    @property
    def agreement(self) -> Path:
        return self.agreements / "tencent-exmail.toml"

    def edit(self, old: str, new: str, *, file: Path | None = None, times: int = 1) -> None:
        """Change a file as an operator would, with an editor that replaces it."""
        file = file or self.agreement
        text = file.read_text()
        assert text.count(old) >= 1, old
        beside = file.with_suffix(".new")
        beside.write_text(text.replace(old, new, times))
        beside.rename(file)

    def put_agreement(self, version: int) -> None:
        """Have the agreement say the same in another version, so with another digest."""
        text = re.sub(r"^# version \d+\n", "", self.agreement.read_text())
        beside = self.agreement.with_suffix(".new")
        beside.write_text(f"# version {version}\n{text}")
        beside.rename(self.agreement)

    # --- mail ---------------------------------------------------------------------------------------------------------

    def connect(self, login: str = ALICE, over: socket.socket | None = None) -> SmtpClient:
        client = SmtpClient(self.port, over=over)
        assert client.ehlo().is_positive
        assert client.ask(f"XCLIENT LOGIN={login}").is_positive
        assert client.ehlo().is_positive
        return client

    def send(self, letter: Letter) -> Reply:
        with self.connect(letter.sender) as client:
            return client.deliver(letter)

    def clean(self, tag: str) -> Letter:
        return letters.letter(ALICE, CUSTOMER, letters.clean(ALICE, CUSTOMER, tag=tag))

    def spam(self, number: int, seed: str = "x") -> Letter:
        raw = letters.advert(MALLORY, CUSTOMER, number=number, seed=seed, language="zh")
        return letters.letter(MALLORY, CUSTOMER, raw)

    def arrived(self) -> Counter[str]:
        """Say how often each Message-ID came to the next hop."""
        return Counter(_id_of(mail.data) for mail in self.sink.taken)

    # --- monitoring ---------------------------------------------------------------------------------------------------

    def readyz(self) -> tuple[int, str]:
        return self._get("/readyz")

    def metric(self, name: str) -> float:
        found = [line for line in self._get("/metrics")[1].splitlines() if line.startswith(f"{name} ")]
        return float(found[0].split()[-1]) if found else 0.0

    def _get(self, page: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://127.0.0.1:{self.http}{page}", timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as err:
            return err.code, err.read().decode()

    # --- the processes ------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self.node._process is not None
        return self.node._process.pid

    def children(self) -> list[int]:
        return [int(x) for x in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def workers(self) -> list[int]:
        """Say which children have the door open and are not the ledger."""
        return [pid for pid in self.children() if not has_open(pid, "ledger.sqlite3")]

    def wait_log(self, text: str, count: int = 1) -> None:
        wait_until(lambda: self.node.log().count(text) >= count, text)

    def wait_closed(self) -> None:
        """Wait until nobody new is let in."""
        wait_until(lambda: is_refused(self.port), "the door is closed")


def has_open(pid: int, name: str) -> bool:
    try:
        return any(link.resolve().name == name for link in Path(f"/proc/{pid}/fd").glob("*"))
    except OSError:
        return False


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


@contextmanager
def rig(workers: int = 0, changes: dict[str, Any] | None = None, *, is_started: bool = True) -> Iterator[Rig]:
    """Stand everything up, and take everything down; a process that stumbled fails the test."""
    folder = new_folder()
    agreements = folder / "agreements"
    shutil.copytree(shared("policies/agreements"), agreements)
    port, http, hop = free_ports(3)
    sink = WireSink(hop)
    config = {
        "listener": [{"name": "submission", "port": port, "attribution": "xclient", "direction": "outbound"}],
        "policy_service": {"enabled": False},
        "next_hop": {"address": f"127.0.0.1:{sink.port}"},
        "clamd": {"enabled": False},
        "authentication": {"enabled": False},
        "content": {"enabled": False},
        "agreement": {"directory": str(agreements), "hold_outbound": "reject"},
        "http": {"port": http},
    }
    node = Node(folder=folder, config=merged(config, changes or {}), workers=workers)
    made = Rig(node=node, sink=sink, port=port, http=http, agreements=agreements)
    try:
        if is_started:
            node.start()
        yield made
        if node.is_running:
            assert node.stop() == 0, node.log()[-3000:]
        assert "Traceback" not in node.log(), node.log()[-3000:]
    except BaseException:
        print(node.log()[-5000:])
        raise
    finally:
        node.kill()
        sink.close()
        remove_folder(folder)


@dataclass
class Load:
    """People who send until told to stop, each mail until it is taken. `answers`: every reply, by Message-ID."""

    rig: Rig
    senders: int = 3
    answers: dict[str, list[Reply]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _failed: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(self.senders)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        assert self._failed == []
        assert not any(thread.is_alive() for thread in self._threads)

    def wait(self, count: int) -> None:
        """Wait until so many more have been begun after those that are under way."""
        goal = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= goal or self._failed, f"{goal} mails")

    def _work(self, number: int) -> None:
        client: SmtpClient | None = None
        login = (ALICE, MALLORY, "carol@corp.example")[number % 3]
        try:
            for count in itertools.count():
                if self._stop.is_set():
                    break
                tag = f"load.{number}.{count}"
                raw = letters.clean(login, CUSTOMER, tag=tag)
                letter = letters.letter(login, CUSTOMER, raw)
                replies = self.answers.setdefault(_id_of(raw), [])
                while not replies or replies[-1].code // 100 != 2:
                    try:
                        client = client or self.rig.connect(login)
                        replies.append(client.deliver(letter))
                    except (OSError, AssertionError) as err:
                        replies.append(Reply(code=0, text=str(err), after="CONNECT"))
                    if replies[-1].code in (0, 421) and client is not None:
                        client.close()
                        client = None
                    if replies[-1].code // 100 != 2:
                        time.sleep(0.05)
        except BaseException as err:
            self._failed.append(err)
        finally:
            if client is not None:
                client.close()


def _id_of(raw: bytes) -> str:
    found = _MESSAGE_ID.search(raw)
    assert found is not None
    return found[1].decode()


both = pytest.mark.parametrize("workers", [0, 2])
