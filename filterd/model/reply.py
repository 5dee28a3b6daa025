"""Reply: what an SMTP client reads (RFC 5321 §4.2, RFC 3463). The first digits of both codes agree."""

from __future__ import annotations

from dataclasses import dataclass

# RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets, code and line end included.
MAX_LINE_BYTES = 512 - len("\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is said, in one line or several.

    Args:
        enhanced: None only for replies that carry none by standard.
        text: lines parted by LF.
        utf8_text: what is said instead where the client has announced SMTPUTF8 (RFC 6531 §3.7.4.2); None: `text`.
    """

    code: int
    enhanced: str | None
    text: str
    utf8_text: str | None = None

    def __post_init__(self) -> None:
        if self.enhanced is not None and self.enhanced[0] != str(self.code)[0]:
            raise ValueError(f"{self.code} does not agree with {self.enhanced}")

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    def lines(self, *, is_utf8: bool = False) -> list[str]:
        """Render the reply as SMTP lines without line ends.

        Control characters become spaces, long lines are parted at words, and each line bears both codes (RFC 2034 §4).
        """
        text = self.utf8_text if is_utf8 and self.utf8_text is not None else self.text
        head = f"{self.enhanced} " if self.enhanced else ""
        room = MAX_LINE_BYTES - len(f"{self.code} {head}")
        rows = [part for row in text.split("\n") for part in _parted(_printable(row), room)]
        return [f"{self.code}{'-' if i < len(rows) - 1 else ' '}{head}{row}" for i, row in enumerate(rows)]

    def one_line(self) -> str:
        """Render the reply, however long, for whoever takes a single line and parts it himself."""
        head = f"{self.code} {self.enhanced} " if self.enhanced else f"{self.code} "
        return head + _printable(" ".join(self.text.split("\n")))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _parted(row: str, room: int) -> list[str]:
    """Part a row into pieces of at most `room` octets: at a space where there is one, never within a character."""
    parts = []
    while len(row.encode("utf-8", "replace")) > room:
        end = len(row.encode("utf-8", "replace")[:room].decode("utf-8", "ignore"))
        space = row.rfind(" ", 1, end + 1)
        parts.append(row[: space if space > 0 else end])
        row = row[space + 1 :] if space > 0 else row[end:]
    return [*parts, row]
