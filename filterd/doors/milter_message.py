"""One mail as a milter sees it: envelope, header, body, and the octets the MTA will deliver (MAIL-PATH 4d, HOUSE 6.10).

With HDR_LEADSPC the fields come as they stand in the mail, so a DKIM signature verifies over what we put together;
without it the MTA has taken the blank behind the colon, and that is what almost every mail has there.

Each field that the MTA tells of is one field for our parser too, whatever octets are in it: removals are counted, and
both must count the same.
"""

from __future__ import annotations

import re

from filterd.doors import smtp_replies as replies
from filterd.doors.milter_wire import Header
from filterd.doors.smtp_data import ABSURD_TIMES, MemoryBudget
from filterd.errors import PeerError
from filterd.mail.address import mailbox_as_given, parse_forward_path, parse_reverse_path
from filterd.mail.limits import DEFAULT
from filterd.mail.report import has_no_address
from filterd.model.reply import Reply
from filterd.model.session import Envelope, ForwardPath, Path, Session

# As in the SMTP door; a header of a megabyte is larger than any MTA takes (Postfix header_size_limit is 102,400).
MAX_ADDRESS_BYTES = 4096
# An MTA looks through the whole header for each field that it takes out: Postfix needs minutes for 30,000.
MAX_FIELDS, MAX_HEADER_BYTES = DEFAULT.fields, DEFAULT.header_bytes

# What ends a name for our parser, and what would end a value: a line that is no fold.
_NO_NAME = re.compile(rb"[^!-9;-~]")
_NO_FOLD = re.compile(rb"\n(?![ \t])")


class MilterMessage:
    """A mail from MAIL on.

    Args:
        limit_bytes: a larger one is not kept; `refusal` then says 552 5.3.4 (452 4.3.1 without room in memory). A
            header beyond all measure is not kept either: 554 5.6.0.
    """

    def __init__(
        self, session: Session, reverse_path: Path | None, parameters: tuple[bytes, ...], *, limit_bytes: int,
        budget: MemoryBudget,
    ) -> None:  # fmt: skip
        self.session = session
        self.reverse_path = reverse_path
        self.parameters = parameters
        self.forward_paths: list[ForwardPath] = []
        # What the MTA itself refused for good, as it tells who asked to hear of it (RCPT_REJ).
        self.refused_recipients = 0
        # Of these, where it says that there is no such address.
        self.bad_addresses = 0
        self.refusal: Reply | None = None
        self._limit, self._budget = limit_bytes, budget
        self._fields: list[bytes] = []
        self._body: list[bytes] = []
        self._held = 0
        self._told = 0

    @property
    def envelope(self) -> Envelope:
        return Envelope(
            reverse_path=self.reverse_path, parameters=self.parameters, forward_paths=tuple(self.forward_paths)
        )

    def note_refused(self, status: str | None) -> None:
        """Note a recipient that the MTA has refused. `status`: its enhanced code, where it says one."""
        self.refused_recipients += 1
        self.bad_addresses += has_no_address(status or "")

    def add_header(self, header: Header, *, has_leading_space: bool) -> None:
        """Keep a field. Raises PeerError for a header that is not to be heard out."""
        self._told += 1
        if self._told > ABSURD_TIMES * MAX_FIELDS:
            raise PeerError("a milter header without end")
        name = _NO_NAME.sub(b"?", header.name.rstrip(b" \t")) or b"?"
        value = _NO_FOLD.sub(b"\n ", header.value.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        blank = b"" if has_leading_space or not value else b" "
        field = name + b":" + blank + value + b"\r\n"
        if len(self._fields) < MAX_FIELDS and self._held + len(field) <= MAX_HEADER_BYTES:
            self._keep(self._fields, field)
        elif self.refusal is None:
            self.refusal = replies.HEADER_TOO_BIG
            self.release()

    def add_body(self, octets: bytes) -> None:
        self._keep(self._body, octets)

    def raw(self) -> bytes:
        """Give the mail. Its line ends are as the MTA sent them."""
        return b"".join((*self._fields, b"\r\n", *self._body))

    def forget(self) -> None:
        """Let go of the octets; the share of the memory stays taken until `release`."""
        self._fields, self._body = [], []

    def release(self) -> None:
        self.forget()
        self._budget.held_bytes -= self._held
        self._held = 0

    def _keep(self, where: list[bytes], octets: bytes) -> None:
        if self.refusal is not None:
            return
        if self._held + len(octets) > self._limit:
            self.refusal = replies.TOO_BIG
        elif not self._budget.has_room(len(octets)):
            self.refusal = replies.NO_MEMORY
        else:
            self._budget.held_bytes += len(octets)
            self._held += len(octets)
            where.append(octets)
            return
        self.release()


def reverse_path_of(arguments: tuple[bytes, ...]) -> Path | None:
    """Read what MAIL bears; None is the null sender. What the MTA has taken is taken. Raises PeerError without end."""
    octets = _bounded(arguments)
    if octets in (b"<>", b""):
        return None
    try:
        return parse_reverse_path(octets, smtputf8=True)
    except PeerError:
        return mailbox_as_given(_unbracketed(octets))


def forward_path_of(arguments: tuple[bytes, ...]) -> ForwardPath:
    """Read what RCPT bears."""
    octets = _bounded(arguments)
    try:
        path = parse_forward_path(octets, smtputf8=True)
    except PeerError:
        path = mailbox_as_given(_unbracketed(octets))
    return ForwardPath(path=path, parameters=arguments[1:])


def _bounded(arguments: tuple[bytes, ...]) -> bytes:
    if len(arguments[0]) > MAX_ADDRESS_BYTES:
        raise PeerError("a milter address without end")
    return arguments[0]


def _unbracketed(octets: bytes) -> bytes:
    return octets.removeprefix(b"<").removesuffix(b">")
