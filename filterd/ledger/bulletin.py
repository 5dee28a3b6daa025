"""What other nodes tell (LISTEN), whether the database is there at all, and who keeps the timers.  LIBRARIES §18.

A connection of its own. A notification names accounts whose copies are old. While the connection is lost nobody knows
what was said: then the store counts as away, and after it is back everything warm is read anew. The same connection
holds the advisory lock of the timers, so that they move to another node when this one dies or is cut off.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from filterd.ledger.postgres import CHANNEL, FOR_TIMERS, check_server, conninfo, notice_silence, place_of

_log = logging.getLogger(__name__)

# A look at whether the server is still there, and at whether the timers are free.
_LOOK_S = 0.5
# A server that says nothing for so long is away, connected or not.
AWAY_AFTER_S = 4.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What another node has changed."""

    accounts: tuple[str, ...]
    has_directory_changed: bool


class Bulletin:
    """The listening connection. Callbacks come from its threads, in turns: `on_note`; `on_away`; `on_back`, when copies
    must go, before the store counts as there again; `on_there` after that."""

    def __init__(
        self,
        url: str,
        writer: str,
        *,
        on_note: Callable[[Note], None],
        on_away: Callable[[], None],
        on_back: Callable[[], None],
        on_there: Callable[[], None],
    ):
        self._conninfo, self._place, self._writer = conninfo(url), place_of(url), writer
        self._on_note, self._on_away, self._on_back, self._on_there = on_note, on_away, on_back, on_there
        self._stop = threading.Event()
        self._there = threading.Event()
        self._alive_s = 0.0
        self._has_timers = False
        self._turn = threading.Lock()
        self._threads = (
            threading.Thread(target=self._listen, name="ledger-bulletin", daemon=True),
            threading.Thread(target=self._watch, name="ledger-watch", daemon=True),
        )

    def start(self, within_s: float) -> bool:
        """Begin to listen; say whether that succeeded in time."""
        for thread in self._threads:
            thread.start()
        return self._there.wait(within_s)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            # A server that hangs must not keep us from ending.
            thread.join(AWAY_AFTER_S)

    @property
    def is_there(self) -> bool:
        return self._there.is_set()

    @property
    def has_timers(self) -> bool:
        """Say whether this node keeps the timers, as far as it heard from the server lately."""
        return self._has_timers and self._there.is_set()

    # --- the listening thread -----------------------------------------------------------------------------------------

    def _listen(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._conninfo, autocommit=True) as connection:
                    check_server(connection, self._place)
                    notice_silence(connection)
                    connection.execute(f"LISTEN {CHANNEL}")
                    pause_s = _FIRST_PAUSE_S
                    self._look(connection)
                    self._follow(connection)
            # Whatever it was: a thread that ended would leave the store away for ever.
            except Exception as err:
                if not self._stop.is_set():
                    _log.warning("%s: %s", self._place, (str(err).strip().splitlines() or [type(err).__name__])[0])
            self._has_timers = False
            self._lost()
            self._stop.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _follow(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stop.is_set():
            for received in connection.notifies(timeout=_LOOK_S, stop_after=1):
                self._take(received.payload)
            self._look(connection)

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        """See that the server is there, and take the timers when nobody has them."""
        if self._has_timers:
            connection.execute("SELECT 1")
        else:
            row = connection.execute(f"SELECT pg_try_advisory_lock({FOR_TIMERS}, 0)").fetchone()
            self._has_timers = bool(row and row[0])
            if self._has_timers:
                _log.info("%s: %s keeps the timers", self._place, self._writer)
        self._heard()

    def _take(self, payload: str) -> None:
        try:
            said = json.loads(payload)
            if said["by"] == self._writer:
                return
            note = Note(accounts=tuple(map(str, said["accounts"])), has_directory_changed=bool(said["directory"]))
        except (ValueError, KeyError, TypeError):
            # Not ours, or of a version to come: then anything may have changed.
            _log.warning("%s: a notification that cannot be read", self._place)
            self.doubt()
            return
        self._on_note(note)

    def doubt(self) -> None:
        """Have everything read anew: something was said and not followed. While away, that comes by itself."""
        with self._turn:
            if self._there.is_set():
                self._on_back()
                self._on_there()

    def _heard(self) -> None:
        self._alive_s = time.monotonic()
        if not self._there.is_set():
            with self._turn:
                self._on_back()
                self._there.set()
                self._on_there()

    def _lost(self) -> None:
        with self._turn:
            if self._there.is_set():
                self._there.clear()
                self._on_away()

    # --- the watching thread ------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Notice a server that hangs: the listening thread hangs with it."""
        while not self._stop.wait(_LOOK_S):
            if self._there.is_set() and time.monotonic() - self._alive_s > AWAY_AFTER_S:
                _log.warning("%s: has said nothing for %g s", self._place, AWAY_AFTER_S)
                with contextlib.suppress(Exception):
                    self._lost()
