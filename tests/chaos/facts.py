"""What a campaign has seen: tries of the clients, transactions of the sink, kills.  Plain values, for the oracle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.phases import Phase


@dataclass(frozen=True, kw_only=True)
class Try:
    """One attempt of a client to hand a mail in. Instants in seconds of the system's clock; code 0: hung up."""

    ident: str
    began_at: float
    ended_at: float
    code: int
    text: str

    @property
    def is_settled(self) -> bool:
        return self.code // 100 in (2, 5)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One transaction at the sink. `answer`: "250" or "451"; where it hung up after the dot, "dropped" if it kept the
    mail, else "cut"."""

    ident: str
    came_at: float
    answered_at: float
    answer: str
    recipients: tuple[str, ...]
    trace: str
    body: str
    head: str = ""
    # Mails of the campaign that it carries, as a report does.
    about: tuple[str, ...] = ()

    @property
    def is_kept(self) -> bool:
        return self.answer in ("250", "dropped")

    @property
    def transaction_id(self) -> str:
        return self.trace.partition(" fp=")[0]

    @property
    def fingerprint(self) -> str:
        # What stands behind it says how the mail was checked, and may differ: " unchecked".
        return self.trace.partition(" fp=")[2].partition(" ")[0]

    @property
    def held_id(self) -> str:
        """Under which id it was held; empty: it was not."""
        return self.trace.partition(" held=")[2].partition(" ")[0]


@dataclass(frozen=True, kw_only=True)
class Kill:
    """Somebody died, at `at` at the earliest, at `until` at the latest.

    `took_all`: the whole node, whatever the phase is called.
    """

    at: float
    until: float
    phase: Phase
    took_all: bool

    def is_between(self, since: float, until: float) -> bool:
        return self.at <= until and since <= self.until

    @property
    def hits_mail(self) -> bool:
        """Whether a mail between the next hop and its client can be hit: who dies handles mail."""
        return self.took_all or self.phase.role in ("worker", "all", "supervisor")

    @property
    def hits_notices(self) -> bool:
        return self.took_all or self.phase.role in ("ledger", "all", "supervisor", "postgresql")


def read_copies(file: Path) -> list[Copy]:
    """Read what the sink wrote."""
    return [_copy(line) for line in file.read_text().splitlines()] if file.exists() else []


def _copy(line: str) -> Copy:
    tree = json.loads(line)
    return Copy(
        ident=tree["message_id"].strip("<>").rpartition("@")[0],
        came_at=tree["came_at"],
        answered_at=tree["answered_at"],
        answer=tree["answer"],
        recipients=tuple(tree["recipients"]),
        trace=tree["trace"],
        body=tree["body"],
        head=tree["head"],
        about=tuple(tree["about"]),
    )
