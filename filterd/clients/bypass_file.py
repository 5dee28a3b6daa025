"""The order to let all mail pass, as a file in the state directory: read by every worker, also when nothing else works.

One JSON object: order_id, since, until, by, reason, is_recorded (whether the ledger has its row). The order ends by the
clock of whoever reads it, so nothing has to run for it to end (HOUSE rule 12).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from datetime import datetime
from pathlib import Path

from filterd.errors import ConfigError
from filterd.ports import BypassOrder

FILE_NAME = "bypass.json"
# Workers look at the file this often, at most.
LOOK_EVERY_S = 0.5


class BypassFile:
    """Implements ports.Bypass and ports.BypassStore."""

    def __init__(self, file: Path):
        self._file = file
        self._looked_at = float("-inf")
        self._version: tuple[int, int, int] | None = None
        self._order: BypassOrder | None = None

    def order(self, now: datetime) -> BypassOrder | None:
        """Say the order in force at `now`, or None. What cannot be read is no order: mail is then checked as ever."""
        monotonic = time.monotonic()
        if monotonic - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = monotonic
            self._look()
        found = self._order
        return found if found is not None and found.since <= now < found.until else None

    def stored(self) -> BypassOrder | None:
        """Say what the file holds, in force or over. Raises ConfigError, naming the file."""
        return read_order(self._file)

    def write(self, order: BypassOrder) -> None:
        """Put the order in force, fsynced. Raises ConfigError, naming the file."""
        write_order(self._file, order)

    def end(self) -> None:
        """Take the order back; does nothing when there is none."""
        self._file.unlink(missing_ok=True)

    def _look(self) -> None:
        try:
            found = os.stat(self._file)
            version = (found.st_mtime_ns, found.st_ino, found.st_size)
            if version != self._version:
                self._version, self._order = version, read_order(self._file)
        except (OSError, ConfigError):
            self._version, self._order = None, None


def read_order(file: Path) -> BypassOrder | None:
    """Say what the file holds, in force or over; None when there is none. Raises ConfigError for anything else."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise ConfigError(f"cannot be read: {err}", file=file) from err
    try:
        order = BypassOrder(
            order_id=str(said["order_id"]),
            since=datetime.fromisoformat(said["since"]),
            until=datetime.fromisoformat(said["until"]),
            by=str(said["by"]),
            reason=str(said["reason"]),
            is_recorded=bool(said["is_recorded"]),
        )
        if order.since.tzinfo is None or order.until.tzinfo is None:
            raise ValueError("an instant without a zone")
    except (KeyError, TypeError, ValueError) as err:
        raise ConfigError(f"is no bypass order: {err}", file=file) from err
    return order


def write_order(file: Path, order: BypassOrder) -> None:
    """Put the order in force, fsynced. Raises ConfigError, naming the file."""
    said = {
        "order_id": order.order_id,
        "since": order.since.isoformat(),
        "until": order.until.isoformat(),
        "by": order.by,
        "reason": order.reason,
        "is_recorded": order.is_recorded,
    }
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            if os.geteuid() == 0:
                # An order that root gives beside the service is for the service's user to read and to end.
                owner = os.stat(file.parent)
                os.fchown(out.fileno(), owner.st_uid, owner.st_gid)
            json.dump(said, out, ensure_ascii=False)
            out.flush()
            os.fsync(out.fileno())
        beside.rename(file)
    except OSError as err:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise ConfigError(f"cannot be written: {err.strerror}", file=file) from err
