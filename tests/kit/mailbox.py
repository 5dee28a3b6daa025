"""What has arrived?  Maildirs as Postfix's virtual(8) fills them: one file a delivered copy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from tests.kit.waiting import PATIENCE_S, wait_until

# What virtual(8) puts on top, in this order.
_ON_TOP = re.compile(rb"\AReturn-Path: <(?P<sender>.*)>\n(?:X-Original-To: (?P<to>.*)\n)?Delivered-To: (?P<box>.*)\n")


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """One delivered copy. `raw` is the mail as it lay in Postfix's queue, with CRLF; `sender` "" is the null sender."""

    sender: str
    recipient: str
    raw: bytes
    file: Path

    @property
    def message(self) -> EmailMessage:
        """The standard library's reading; for fields and texts of mail we know to be well made."""
        return message_from_bytes(self.raw, policy=policy.default)

    def fields(self, name: str) -> list[str]:
        return [str(value) for value in message_from_bytes(self.raw).get_all(name) or []]

    def below(self, *names: str) -> bytes:
        """The mail from the first field on that bears none of these names: what stood there before those were added."""
        rest = self.raw
        while True:
            name, colon, _ = rest.partition(b":")
            if not colon or name.decode("ascii", "replace").lower() not in {n.lower() for n in names}:
                return rest
            rest = rest[_field_end(rest) :]


class Maildir:
    """One mailbox."""

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self) -> list[Arrived]:
        """Everything in it, oldest first."""
        found = []
        for file in (self.folder / "new").glob("*"):
            try:
                found.append((file.stat().st_mtime_ns, file.name, _arrived(file)))
            except FileNotFoundError:
                continue
        return [arrived for _, _, arrived in sorted(found, key=lambda x: x[:2])]

    def wait(
        self, count: int = 1, *, of: Callable[[Arrived], bool] = lambda mail: True, patience_s: float = PATIENCE_S
    ) -> list[Arrived]:
        """Wait until at least `count` mails that fit are in; says those. Raises TimeoutError."""
        found: list[Arrived] = []

        def are_in() -> bool:
            found[:] = [mail for mail in self.read() if of(mail)]
            return len(found) >= count

        wait_until(are_in, f"{count} mails for {self.folder.name}", patience_s)
        return found


def _arrived(file: Path) -> Arrived:
    octets = file.read_bytes()
    top = _ON_TOP.match(octets)
    if top is None:
        raise ValueError(f"{file}: not as virtual(8) writes it: {octets[:200]!r}")
    return Arrived(
        sender=top["sender"].decode("utf-8", "replace"),
        recipient=(top["to"] or top["box"]).decode("utf-8", "replace"),
        raw=octets[top.end() :].replace(b"\n", b"\r\n"),
        file=file,
    )


def _field_end(octets: bytes) -> int:
    """Say where the first field ends, its folded lines included."""
    end = 0
    while True:
        line_end = octets.find(b"\r\n", end)
        if line_end < 0:
            return len(octets)
        end = line_end + 2
        if octets[end : end + 1] not in (b" ", b"\t"):
            return end
