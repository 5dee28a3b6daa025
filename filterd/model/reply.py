"""Reply: what an SMTP client reads (RFC 5321 §4.2, RFC 3463). The first digits of both codes agree."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`text` may hold several lines parted by LF; `enhanced` is None only for replies that carry none by standard."""

    code: int
    enhanced: str | None
    text: str

    def __post_init__(self) -> None:
        if self.enhanced is not None and self.enhanced[0] != str(self.code)[0]:
            raise ValueError(f"{self.code} does not agree with {self.enhanced}")

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    def lines(self) -> list[str]:
        """Render the reply as SMTP lines without line ends; control characters become spaces."""
        rows = [_printable(row) for row in self.text.split("\n")] or [""]
        head = f"{self.enhanced} " if self.enhanced else ""
        return [f"{self.code}{'-' if i < len(rows) - 1 else ' '}{head}{row}" for i, row in enumerate(rows)]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
