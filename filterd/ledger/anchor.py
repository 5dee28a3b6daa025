"""The anchor: a file beside the store, one line a checkpoint: how far the chain went, and with what hash.

A row cut off the end of the table leaves a chain that still fits; the anchor has seen the row. A line is added with
every sanction, and at open and close. Lines carry an HMAC of their own. They are flushed to the system at once and
synced at close: a line lost with the power only makes the stretch behind the last anchor longer. Copy the file off the
host from time to time: who can write both can cut both.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filterd.ledger.chain import Head
from filterd.ledger.codec import Undecodable, canonical, decode_json, instant_text
from filterd.ledger.files import sync
from filterd.ledger.seal import derived_key

FILE_NAME = "ledger.anchor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One checkpoint. `at` is the clock when it was taken; seq 0 is the empty chain."""

    writer: str
    seq: int
    row_hash: bytes
    at: str


class AnchorFile:
    """The file of a store. Only the ledger process writes it."""

    def __init__(self, file: Path, chain_key: bytes):
        self.file = file
        self._key = derived_key(chain_key, "anchor")

    def append(self, writer: str, head: Head, at: datetime) -> None:
        """Add a checkpoint. Raises OSError."""
        tree = {"at": instant_text(at), "row_hash": head.row_hash.hex(), "seq": head.seq, "writer": writer}
        line = canonical({**tree, "mac": self._mac(canonical(tree))}) + b"\n"
        fd = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, line)
        finally:
            os.close(fd)

    def mend(self) -> None:
        """Cut off half a line that a crash left at the end."""
        if self.file.exists() and (octets := self.file.read_bytes()) and not octets.endswith(b"\n"):
            os.truncate(self.file, octets.rfind(b"\n") + 1)

    def sync(self) -> None:
        if self.file.exists():
            sync(self.file)

    def read(self) -> tuple[Sequence[Anchor], str | None]:
        """Say the checkpoints in order, and what is wrong with the file, None when nothing is."""
        if not self.file.exists():
            return (), f"{self.file}: is missing"
        found: list[Anchor] = []
        for number, line in enumerate(self.file.read_bytes().split(b"\n")[:-1], start=1):
            anchor = self._read_line(line)
            if anchor is None:
                return found, f"{self.file}:{number}: was altered"
            found.append(anchor)
        return found, None if found else f"{self.file}: is empty"

    def _read_line(self, line: bytes) -> Anchor | None:
        try:
            tree = decode_json(line)
            mac = tree.pop("mac")
            if not hmac.compare_digest(mac.encode("ascii"), self._mac(canonical(tree)).encode("ascii")):
                return None
            return Anchor(
                writer=tree["writer"], seq=tree["seq"], row_hash=bytes.fromhex(tree["row_hash"]), at=tree["at"]
            )
        except (Undecodable, AttributeError, KeyError, TypeError, ValueError):
            return None

    def _mac(self, octets: bytes) -> str:
        return hmac.new(self._key, octets, hashlib.sha256).hexdigest()
