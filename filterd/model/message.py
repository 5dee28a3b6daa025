"""Message: the immutable canonical bytes and a parsed view of them (RFC 5322, 2045). Made by mail/parse only."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One header field in its original order.

    `name` as written; `raw` the whole field with its line ends; `value` unfolded and decoded as far as it can be
    (RFC 2047, then UTF-8, GB18030, Latin-1), never raising.
    """

    name: str
    raw: bytes
    value: str

    @property
    def key(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One MIME leaf or attached message.

    `path` is the position in the tree ("1.2"); `content` the decoded octets; `charset` as declared or None.
    """

    path: str
    content_type: str
    disposition: str | None
    filename: str | None
    charset: str | None
    content: bytes

    @property
    def is_attachment(self) -> bool:
        return self.disposition == "attachment" or self.filename is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """An HTML link whose own words name a place on the web: what the reader sees, and where it leads.

    `shown` is the host in the words (small letters, as written), `target` the URL as in `Message.links`; `is_whole`
    says that the words are nothing but that address.
    """

    shown: str
    target: str
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the checks read. `defects` are short codes (`mime.base64.broken`), in order, no words of the mail.

    `body_offset` is the index in `raw` of the first body octet. `texts` holds the readable text of each text part,
    in order, HTML already reduced to text. `links` are URLs as found, in order, without duplicates; `anchors` are the
    few of them whose words show another address or the same, without duplicates.
    """

    raw: bytes
    body_offset: int
    fields: tuple[Field, ...]
    parts: tuple[Part, ...]
    texts: tuple[str, ...]
    links: tuple[str, ...]
    defects: tuple[str, ...] = field(default=())
    anchors: tuple[Anchor, ...] = field(default=())

    def all(self, name: str) -> tuple[Field, ...]:
        """Say which fields bear `name`, in order; letter case does not matter."""
        key = name.lower()
        return tuple(f for f in self.fields if f.key == key)

    def first(self, name: str) -> str | None:
        """Say the value of the first field called `name`, or None."""
        found = self.all(name)
        return found[0].value if found else None

    @property
    def subject(self) -> str:
        return self.first("subject") or ""

    @property
    def attachments(self) -> tuple[Part, ...]:
        return tuple(p for p in self.parts if p.is_attachment)
