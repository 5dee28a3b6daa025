"""A PostgreSQL of the tests' own: a fresh cluster in memory, on a UNIX socket, a database for whoever asks."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests.kit.waiting import PATIENCE_S, continue_processes, stop_processes, wait_until

# Debian keeps its versions apart and out of PATH.
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/bin", "/usr/bin")
_SETTINGS = {
    # What filterd asks for; the disk below is memory, so that a sync costs little.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "deadlock_timeout": "200ms",
    "log_lock_waits": "off",
    "autovacuum_naptime": "10s",
    "wal_level": "replica",
    "max_wal_senders": "4",
}


class NoPostgres(Exception):
    """There is no PostgreSQL here, or it does not start; says why."""


class Postgres:
    """One cluster. Use as a context manager, or `close` it."""

    def __init__(self, *, on: Path | None = None, **settings: str):
        """Make the cluster. Raises NoPostgres.

        Args:
            on: a folder on the disk to use; None: memory, where there is some.
        """
        self._bin = find_programs()
        base = on or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-pg-", dir=base))
        # A short path: a UNIX socket's name holds 107 octets.
        self.sockets = Path(tempfile.mkdtemp(prefix="fpg-", dir="/tmp"))
        self._settings = _SETTINGS | settings
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        for folder in (self.folder, self.sockets):
            if os.getuid() == 0:
                shutil.chown(folder, *_owner())
        self._run("initdb", "--auth=trust", "--username=filterd", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")

    @property
    def version(self) -> str:
        said = subprocess.run([self._bin / "postgres", "--version"], capture_output=True, text=True, check=True)
        return said.stdout.strip().replace("postgres (PostgreSQL)", "PostgreSQL")

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    # --- running ------------------------------------------------------------------------------------------------------

    def start(self) -> Postgres:
        """Start it; returns when it takes connections. Raises NoPostgres with the end of its log."""
        options = self._settings | {"listen_addresses": "", "unix_socket_directories": str(self.sockets)}
        # A killed test run must not leave a server behind: prctl(2) PR_SET_PDEATHSIG, which a change of user clears.
        command = [*_as_owner(), "setpriv", "--pdeathsig", "KILL", "--", str(self._bin / "postgres")]
        command += ["-D", str(self.data)]
        for key, value in options.items():
            command += ["-c", f"{key}={value}"]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return self
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise NoPostgres(f"PostgreSQL does not start:\n{self.log_file.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut would end it: the server and every process of it."""
        self._end(signal.SIGKILL)

    def crash(self) -> None:
        """Immediate shutdown: no checkpoint, recovery at the next start."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop it, ending what is connected, and start it again."""
        self._end(signal.SIGINT)
        self.start()

    def pause(self) -> None:
        """Stop every process of it without ending it: connections hang."""
        pid = self._pid()
        # Who has no parent that runs is not forked any more.
        stop_processes([pid])
        stop_processes(_children(pid))

    def resume(self) -> None:
        pid = self._pid()
        continue_processes([*_children(pid), pid])

    def close(self) -> None:
        self._end(signal.SIGQUIT)
        for folder in (self.folder, self.sockets):
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> Postgres:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- databases ----------------------------------------------------------------------------------------------------

    def url(self, database: str) -> str:
        return f"postgresql://filterd@/{database}?host={self.sockets}&connect_timeout={PATIENCE_S:.0f}"

    def new_database(self) -> str:
        """Make an empty database; says its URL."""
        name = f"ledger{next(self._numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, ending what is connected to it."""
        name = url.partition("@/")[2].partition("?")[0]
        self.execute("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, database: str, statement: str) -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_owner(), str(self._bin / program), "-D", str(self.data), *arguments]
        said = subprocess.run(command, capture_output=True, text=True, cwd="/", env=os.environ | {"LC_ALL": "C.UTF-8"})
        if said.returncode:
            raise NoPostgres(f"{program}: {said.stderr[-2000:]}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        if how == signal.SIGKILL:
            stop_processes([process.pid])
        children = _children(process.pid)
        process.send_signal(how)
        if how == signal.SIGKILL:
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
        # What a killed postmaster leaves: the next one would wait for its children and its shared memory.
        wait_until(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "PostgreSQL's processes are gone"
        )
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _pid(self) -> int:
        if self._process is None:
            raise NoPostgres("not started")
        return self._process.pid


def find_programs() -> Path:
    """Say where initdb and postgres are. Raises NoPostgres."""
    for pattern in _PLACES:
        found = sorted(Path("/").glob(pattern.lstrip("/") + "/initdb"))
        if found:
            return found[-1].parent
    raise NoPostgres("PostgreSQL is not installed: apt-get install postgresql")


def _owner() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def _as_owner() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    uid, gid = _owner()
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--"]


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
