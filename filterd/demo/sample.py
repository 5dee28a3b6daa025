"""One sample mail: who sends it to whom, how it is written, and what has to become of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from filterd.demo.letters import Header
from filterd.demo.post import Client
from filterd.demo.setting import OFFICE, Signer

Writer = Callable[[str, Header], bytes]
# How the reply of a mail is called that was taken and is held for a person.
HELD = "250 held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What has to become of a mail.

    Args:
        reply: how the reply begins; HELD. says: words that must be in it.
        found, absent: codes that must, or must not, be among the findings.
        breach: categories it must breach, others may join them; empty: it must breach none.
        because: codes that must be among the reasons for what happens to the mail.
        advisory: what people must be shown although nothing follows from it.
        points: what the account has afterwards; None: nobody of ours answers for it.
        is_marked: whether it must have arrived with X-Spam-Flag; of mail that is refused nothing is asked.
        results: methods of Authentication-Results and what they must say.
    """

    reply: str = "250"
    says: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    breach: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    advisory: tuple[str, ...] = ()
    points: float | None = None
    is_marked: bool = False
    results: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A mail of the table.

    Args:
        login: whose of ours it is; None: a stranger's, handed in for `client`.
        sender: of the envelope, None for the login. author: of From, None for the same.
        label: a label of the content checks whose answer is shown whatever it is.
        is_signed: bears the neighbour's DKIM signature. is_broken: was changed afterwards.
    """

    what: str
    language: str
    write: Writer
    expected: Expected
    login: str | None = None
    client: Client | None = None
    sender: str | None = None
    author: str | None = None
    to: tuple[str, ...] = (OFFICE,)
    fields: tuple[tuple[str, str], ...] = ()
    label: str | None = None
    is_signed: bool = False
    is_broken: bool = False

    @property
    def reverse_path(self) -> str:
        return self.sender or self.login or ""

    def head(self, number: int, at: datetime) -> Header:
        """Say its header; the number is in the Message-ID."""
        return Header(
            sender=self.author or self.reverse_path, to=self.to[0], at=at, tag=f"demo-{number}", fields=self.fields
        )

    def raw(self, head: Header, signer: Signer) -> bytes:
        """Write it."""
        octets = self.write(self.language, head)
        if self.is_signed:
            octets = signer.sign(octets)
        return octets + b"P.S.\r\n" if self.is_broken else octets
