"""One filterd of the tests' own: started as an operator would start it, watched from outside, killed when asked.

Its configuration is an operator's file (ops/postfix/*.toml) with other ports and what the test adds. What it says is
read where a person or a program would: its service log, its event stream, its command line, the ledger's socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from filterd.ledger.remote import RemoteLedger
from tests.kit.waiting import PATIENCE_S, stop_processes

_READY = "filterd ready"
_ROOT = Path(__file__).resolve().parents[2]

Table = Mapping[str, Any]

# A process that stands still for a while gives the verdict it would have given; what a test says itself goes first.
_CHECKS = ("clamd", "spam", "content", "attachments", "links", "pii", "terms", "sender", "rate")
_PATIENT: Table = {name: {"timeout_s": 60} for name in _CHECKS}

Role = Literal["ledger", "worker"]


class NodeError(Exception):
    """It did not start, or a command failed."""


class Process(Protocol):
    """What a node needs of its process; subprocess.Popen is one."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the ledger, its body as plain JSON."""

    writer: str
    seq: int
    written_at: datetime
    kind: str
    account_id: str | None
    body: dict[str, Any]

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.body["at"])


@dataclass
class Node:
    """One filterd and its folder.

    Args:
        folder: a short path, for the ledger's socket; holds the configuration, the state and the log.
        env: on top of ours, for example that of faketime.
        launch: starts `filterd ARGUMENTS` in another way than as a program of its own; then `env` is its business.
    """

    folder: Path
    config: dict[str, Any]
    workers: int = 0
    env: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    launch: Callable[[list[str]], Process] | None = None
    _process: Process | None = None
    _accounts: dict[str, str] = field(default_factory=dict)

    @property
    def config_file(self) -> Path:
        return self.folder / "filterd.toml"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def log_file(self) -> Path:
        return self.folder / "filterd.log"

    # --- running ------------------------------------------------------------------------------------------------------

    def start(self, *, kill_at: str | None = None) -> None:
        """Start `filterd serve`; returns when every port listens. Raises NodeError with what it said.

        Args:
            kill_at: a place of filterd/markers.py at which the process kills itself.
        """
        self._wait_ready(self.begin(kill_at=kill_at))

    def begin(self, *, kill_at: str | None = None) -> int:
        """Start `filterd serve` and do not wait; says where in the log this start begins."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(
            toml(merged(merged(_PATIENT, self.config), {"node": {"state_dir": str(self.state_dir)}}))
        )
        arguments = ["serve", "--config", str(self.config_file), "--workers", str(self.workers)]
        # A log that has grown long is not read again and again.
        said = self.log_file.stat().st_size if self.log_file.exists() else 0
        if self.launch is not None:
            self._process = self.launch(arguments)
        else:
            env = os.environ | self.env | ({"FILTERD_KILL_AT": kill_at} if kill_at else {})
            # A killed parent must not leave a node behind: prctl(2) PR_SET_PDEATHSIG.
            command = ["setpriv", "--pdeathsig", "KILL", "--", *_filterd(), *arguments]
            with self.log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=self.folder
                )
        return said

    def _wait_ready(self, said: int) -> None:
        if self._process is None:
            raise NodeError("not started")
        deadline = time.monotonic() + PATIENCE_S
        while _READY not in self.log(said):
            if self._process.poll() is not None or time.monotonic() > deadline:
                status = self._process.poll()
                self.kill()
                raise NodeError(f"filterd is not ready (status {status}):\n{self.log()[-3000:]}")
            time.sleep(0.02)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int | None:
        """End it as systemd would; says its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut would end it: all of its processes at once."""
        if self._process is not None and self._process.poll() is None:
            # Stopped first, so that it neither starts another one nor tells them to end in good order.
            stop_processes([self._process.pid])
            children = self.children()
            for pid in children:
                _kill(pid)
            self._end(signal.SIGKILL)
            _wait_gone(children)
        else:
            self._end(signal.SIGKILL)

    def kill_supervisor(self) -> None:
        """End the parent alone; the kernel tells its children to end in good order."""
        children = self.children()
        self._end(signal.SIGKILL)
        _wait_gone(children)

    def kill_child(self, role: Role, patience_s: float = PATIENCE_S) -> int:
        """End one of its processes as the kernel would when memory is short; the supervisor starts another.

        Says its process id. One that is just being started is waited for.
        """
        pid = self.wait_child(role, patience_s)
        _kill(pid)
        return pid

    def wait_child(self, role: Role, patience_s: float = PATIENCE_S) -> int:
        """Wait until there is such a process, and it writes its event stream; says its id. Raises NodeError."""
        deadline = time.monotonic() + patience_s
        while True:
            for pid in self.children():
                name = _writes_as(pid)
                if name is not None and (name == "ledger") == (role == "ledger"):
                    return pid
            if time.monotonic() > deadline or not self.is_running:
                raise NodeError(f"no {role} among {self.children()}")
            time.sleep(0.02)

    def children(self) -> list[int]:
        """Say the ids of the processes that the supervisor has started; none when all is in one."""
        if self._process is None:
            return []
        try:
            file = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
            return [int(pid) for pid in file.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def wait_dead(self, patience_s: float = PATIENCE_S) -> int:
        """Wait until it has ended by itself; says its exit code, -9 when it killed itself. Raises TimeoutError."""
        if self._process is None:
            raise NodeError("not started")
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"filterd still runs after {patience_s:g} s") from None

    def _end(self, how: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(how)
        try:
            return process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise NodeError(f"filterd did not end within {PATIENCE_S:g} s of {how.name}") from None

    # --- what it says -------------------------------------------------------------------------------------------------

    def log(self, offset: int = 0) -> str:
        """Say its service log, from an octet on."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Say its event stream, all writers' in the order of their instants; only events of these names, if any."""
        found = []
        for file in (self.state_dir / "events").glob("*.jsonl*"):
            for line in file.read_bytes().splitlines():
                try:
                    found.append(json.loads(line))
                except json.JSONDecodeError:
                    # Torn by a kill; the stream says so itself (stream.torn).
                    continue
        found.sort(key=lambda e: (e["at"], e["writer"], e["seq"]))
        return [e for e in found if not names or e["event"] in names]

    def rows(self, *kinds: str, login: str | None = None) -> list[Row]:
        """Say the ledger's rows in order, as the event stream tells them; of these kinds only, about this account."""
        found = {}
        for event in self.events("entry"):
            row = event["ledger"]
            found[row["writer"], row["seq"]] = Row(
                writer=row["writer"],
                seq=row["seq"],
                written_at=datetime.fromisoformat(row["written_at"]),
                kind=event["kind"],
                account_id=event["account_id"],
                body=event["body"],
            )
        account = None if login is None else self.account_id(login)
        return [
            row
            for _, row in sorted(found.items())
            if (not kinds or row.kind in kinds) and (login is None or row.account_id == account)
        ]

    def wait_rows(
        self, *kinds: str, login: str | None = None, count: int = 1, patience_s: float = PATIENCE_S
    ) -> list[Row]:
        """Wait until at least `count` rows are there. Raises TimeoutError."""
        deadline = time.monotonic() + patience_s
        while len(found := self.rows(*kinds, login=login)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} rows {kinds} for {login} after {patience_s:g} s")
            time.sleep(0.1)
        return found

    def stored(self) -> list[tuple[str, int, str]]:
        """Say writer, number and kind of every row in the store itself; only while nothing runs."""
        if self.is_running:
            raise NodeError("the store belongs to the running ledger")
        return sorted(self._select("SELECT writer, seq, kind FROM entry"))

    def _select(self, statement: str) -> list[tuple[Any, ...]]:
        url = self.config.get("ledger", {}).get("url")
        if url is not None:
            # Only where a store of that kind is used: not everybody who tests has the driver.
            import psycopg

            with psycopg.connect(url.replace("postgresql+psycopg:", "postgresql:")) as database:
                return list(database.execute(statement))
        with sqlite3.connect(self.state_dir / "ledger.sqlite3") as store:
            return list(store.execute(statement))

    def account_id(self, login: str) -> str | None:
        """Say the account a login has, or None while it has none; of the ledger, for the stream holds no addresses."""
        if login not in self._accounts:
            self._accounts |= {row["login"]: row["account_id"] for row in self.call("account.list")}
        return self._accounts.get(login)

    def call(self, verb: str, **arguments: Any) -> Any:
        """Ask the ledger over its socket. For looking only: what people do, the tests do by command line."""

        async def ask() -> Any:
            ledger = RemoteLedger(self.state_dir / "ledger.sock", deadline_s=PATIENCE_S)
            await ledger.start(wait_s=PATIENCE_S)
            try:
                return await ledger.call(verb, arguments)
            finally:
                await ledger.close()

        # Not asyncio.run, which would take away the loop that pytest-asyncio has set.
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(ask())
        finally:
            loop.close()

    def standing(self, login: str) -> dict[str, Any]:
        """Say how the account stands now, by the node's own clock."""
        return self.call("account.show", account=login)

    # --- its command line ---------------------------------------------------------------------------------------------

    def run(self, *arguments: str, person: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `filterd ARGUMENTS --config FILE`, as a named person if one is given; whatever comes of it."""
        env = os.environ | self.env | ({"FILTERD_TOKEN": self.tokens[person]} if person else {})
        return subprocess.run(
            [*_filterd(), *arguments, "--config", str(self.config_file)],
            capture_output=True,
            text=True,
            env=env,
            cwd=self.folder,
            timeout=PATIENCE_S,
        )

    def cli(self, *arguments: str, person: str | None = None) -> Any:
        """Run a command that must succeed; says its JSON, or its text where it is none. Raises NodeError."""
        done = self.run(*arguments, person=person)
        if done.returncode:
            raise NodeError(f"filterd {' '.join(arguments)}: {done.returncode}\n{done.stderr}{done.stdout}")
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return done.stdout


def _filterd() -> list[str]:
    """The program: the one beside our Python, or what FILTERD_PROGRAM says (an installed one, one under a tracer)."""
    if program := os.environ.get("FILTERD_PROGRAM"):
        return program.split()
    script = Path(sys.executable).parent / "filterd"
    return [str(script)] if script.exists() else [sys.executable, "-m", "filterd"]


def _writes_as(pid: int) -> str | None:
    """Say under which name a process writes its event stream: "ledger", "w0"; None while it has none."""
    try:
        open_files = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").glob("*")]
    except OSError:
        return None
    streams = [Path(name) for name in open_files if name.endswith(".jsonl")]
    return streams[0].stem.rpartition(".")[2] if streams else None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_gone(pids: list[int], patience_s: float = PATIENCE_S) -> None:
    """Wait until none of them runs any more; a zombie runs no more. Raises NodeError."""
    deadline = time.monotonic() + patience_s
    while running := [pid for pid in pids if _is_running(pid)]:
        if time.monotonic() > deadline:
            raise NodeError(f"still running: {running}")
        time.sleep(0.005)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def new_folder() -> Path:
    # A short path: a UNIX socket name holds 107 bytes.
    return Path(tempfile.mkdtemp(prefix="filterd-node-", dir="/tmp"))


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


# --- TOML -------------------------------------------------------------------------------------------------------------


def read_toml(file: Path, changes: Mapping[str, str]) -> dict[str, Any]:
    """Read a configuration with other values in it: every text or number that equals a key becomes its value."""
    unused = set(changes)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if str(value) in changes:
            unused.discard(str(value))
            return type(value)(changes[str(value)])
        return value

    tree = walk(tomllib.loads(file.read_text()))
    if unused:
        raise KeyError(f"{file} does not hold {sorted(unused)}")
    return tree


def merged(below: Table, above: Table) -> dict[str, Any]:
    """Lay one tree over another; tables are merged, everything else is replaced."""
    out = dict(below)
    for key, value in above.items():
        is_table = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if is_table else value
    return out


def toml(tree: Table) -> str:
    """Write tables of plain values and one more layer of tables or lists of them, and lists of tables, as TOML."""
    # A list without tables stands before the first table.
    lines = [f"{key} = []" for key, value in tree.items() if value == []]
    for key, value in tree.items():
        if value == []:
            continue
        tables = value if _is_tables(value) else [value]
        head = f"[[{key}]]" if tables is value else f"[{key}]"
        for table in tables:
            lines.append(f"\n{head}")
            # JSON's texts, numbers, booleans and lists of them are TOML's.
            plain = {name: item for name, item in table.items() if not isinstance(item, dict) and not _is_tables(item)}
            lines += [f"{name} = {json.dumps(item)}" for name, item in plain.items()]
            for name in table.keys() - plain.keys():
                inside = f"[[{key}.{name}]]" if _is_tables(table[name]) else f"[{key}.{name}]"
                for below in table[name] if _is_tables(table[name]) else [table[name]]:
                    lines.append(f"\n{inside}")
                    lines += [f"{json.dumps(inner)} = {json.dumps(item)}" for inner, item in below.items()]
    return "\n".join(lines).lstrip() + "\n"


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)
