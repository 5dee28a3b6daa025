"""Checkpoints carried out of the state directory: whole copies of the anchor file on other volumes, and a command.

Each place has a thread of its own, so that one that hangs holds up neither a commit nor another place. The anchor file
itself is the queue: a copy's length, or a number beside the file for a command, says what a place has, so that one that
was away gets what it missed. A line is on our own disk before it goes anywhere: no place ever knows more than the file,
unless somebody cut the file, and then it is said and the place is left as it is.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from filterd.errors import PortError
from filterd.ledger.files import sync, write_beside

_log = logging.getLogger(__name__)

COMMAND_TIMEOUT_S = 30.0
# Some 2,000 lines: more than a command gets at once.
_AT_ONCE_BYTES = 1_048_576
# Lines of a second go together; a place that failed is tried again after the longer one.
_PAUSE_S = 1.0
_AFTER_FAILURE_S = 30.0
_CLOSE_WITHIN_S = 5.0
# The end of a copy that is compared each time; at the first time all of it is.
_COMPARED_BYTES = 4096
# A key given by the environment must not reach a hook.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")


class Place(Protocol):
    """Where lines are carried. `name` is for the log."""

    name: str

    def carry(self, local: Path, until: int) -> bool:
        """Bring whole lines of the first `until` octets that are missing there; say whether there may be more.

        Raises PortError or OSError.
        """
        ...


class CopyFile:
    """A copy of the anchor file, octet for octet."""

    def __init__(self, file: Path):
        self.name = str(file)
        self._file = file
        self._is_compared = False

    def carry(self, local: Path, until: int) -> bool:
        # No directory is made: below the mount point of a volume that is away it would be one of our own disk.
        fd = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            has = os.fstat(fd).st_size
            with local.open("rb") as file:
                at = max(0, has - _COMPARED_BYTES) if self._is_compared else 0
                file.seek(at)
                while at < has:
                    theirs = os.pread(fd, min(_AT_ONCE_BYTES, has - at), at)
                    if not theirs or file.read(len(theirs)) != theirs:
                        raise PortError(f"is no beginning of {local}: keep both, and run verify with both")
                    at += len(theirs)
                self._is_compared = True
                more = _whole_lines(file.read(max(0, min(_AT_ONCE_BYTES, until - has))))
            view = memoryview(more)
            while view:
                view = view[os.write(fd, view) :]
            if more:
                os.fsync(fd)
            return bool(more)
        finally:
            os.close(fd)


class Command:
    """A program that gets whole lines on standard input and ends with 0 when it has put them away.

    It may get a line again when this process ended in between.
    """

    def __init__(self, arguments: Sequence[str], sent: Path, timeout_s: float = COMMAND_TIMEOUT_S):
        self.name = arguments[0]
        self._arguments = tuple(arguments)
        self._sent = sent
        self._timeout_s = timeout_s

    def carry(self, local: Path, until: int) -> bool:
        sent = self._position()
        if sent > until:
            # The file was moved aside: another one begins.
            sent = 0
        with local.open("rb") as file:
            file.seek(sent)
            lines = _whole_lines(file.read(min(_AT_ONCE_BYTES, until - sent)))
        if not lines:
            return False
        self._run(lines)
        # Not synced: what is lost of it is only sent again.
        write_beside(self._sent, f"{sent + len(lines)}\n".encode("ascii")).rename(self._sent)
        return True

    def _position(self) -> int:
        try:
            return max(0, int(self._sent.read_text("ascii")))
        except (FileNotFoundError, ValueError):
            return 0

    def _run(self, lines: bytes) -> None:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        with subprocess.Popen(
            self._arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            # A group of its own, so that what it started ends with it.
            start_new_session=True,
        ) as process:
            try:
                process.communicate(lines, timeout=self._timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise PortError(f"not done after {self._timeout_s:g} s") from None
        if process.returncode != 0:
            raise PortError(f"exit status {process.returncode}")


def _whole_lines(octets: bytes) -> bytes:
    return octets[: octets.rfind(b"\n") + 1]


class _Carrier:
    """One place and its thread. `failures` counts since the start."""

    def __init__(self, local: Path, place: Place):
        self.place = place
        self.failures = 0
        self.is_failing = False
        self._local = local
        self._wake = threading.Event()
        self._end = threading.Event()
        # A daemon, because a volume may hang for ever.
        self._thread = threading.Thread(target=self._work, name="ledger-anchor", daemon=True)

    def wake(self) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._wake.set()

    def end(self) -> None:
        self._end.set()
        self._wake.set()

    def join(self, until_s: float) -> None:
        if self._thread.ident is None:
            return
        self._thread.join(max(0.0, until_s - time.monotonic()))
        if self._thread.is_alive():
            _log.warning("checkpoints for %s: not done at the end", self.place.name)

    def _work(self) -> None:
        while not self._end.is_set():
            if self.is_failing:
                self._end.wait(_AFTER_FAILURE_S)
            else:
                self._wake.wait()
            self._wake.clear()
            self._try()
            self._end.wait(_PAUSE_S)
        # What was added since the last round began.
        self._try()

    def _try(self) -> None:
        try:
            until = self._local.stat().st_size
            sync(self._local)
            while self.place.carry(self._local, until):
                pass
        except Exception as err:
            self.failures += 1
            why = str(err) if isinstance(err, PortError) else getattr(err, "strerror", None) or type(err).__name__
            if not self.is_failing:
                _log.error("checkpoints do not reach %s: %s", self.place.name, why)
            self.is_failing = True
            return
        if self.is_failing:
            _log.warning("checkpoints reach %s again, after %d failures", self.place.name, self.failures)
        self.is_failing = False


class Elsewhere:
    """All places of an anchor file."""

    def __init__(self, local: Path, places: Sequence[Place]):
        self._carriers = tuple(_Carrier(local, place) for place in places)

    def wake(self) -> None:
        """There is a new line. Never waits; the first time it begins with whatever the places have missed."""
        for carrier in self._carriers:
            carrier.wake()

    def close(self) -> None:
        """Carry the rest, as far as it goes within seconds."""
        for carrier in self._carriers:
            carrier.end()
        until_s = time.monotonic() + _CLOSE_WITHIN_S
        for carrier in self._carriers:
            carrier.join(until_s)

    @property
    def failures(self) -> dict[str, int]:
        """Say how often each place could not be reached since the start."""
        return {carrier.place.name: carrier.failures for carrier in self._carriers}

    @property
    def failing(self) -> tuple[str, ...]:
        """Say which places cannot be reached just now."""
        return tuple(carrier.place.name for carrier in self._carriers if carrier.is_failing)


def places_of(state_dir: Path, copies: Sequence[Path], command: Sequence[str]) -> tuple[Place, ...]:
    """Make the places that a configuration names; an empty command is none."""
    sent = state_dir / "ledger.anchor.sent"
    found: list[Place] = [CopyFile(file) for file in copies]
    if command:
        found.append(Command(command, sent))
    return tuple(found)
