"""What a mail carries that may have come from outside before: its links, attachments and text, as keyed hashes.

STANDING 5.7-12 (received first): who passes on what a stranger sent them, to ask somebody or to report it, has not made
it. Kept by tenant beside who wrote to it (pipeline/acquaintances), under another name each, so that nobody is taken for
a link.

What was found has to be what came: a link or a picture that everybody is sent says nothing of the file beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from filterd.checks.links.place import read
from filterd.model.message import Message
from filterd.model.verdict import Finding

# Of one mail; who sends more than this has not been sent it by one stranger.
_LINKS_AT_MOST, _FILES_AT_MOST = 12, 6


# What findings of these areas speak of (HOUSE §2: area.subject.state); of the rest it is the mail as a whole.
_OF_FILES, _OF_LINKS = ("virus.", "attachment."), ("link.",)
# A text of fewer letters is anybody's: a greeting, a number. Our own count: no document has one.
_LETTERS_AT_LEAST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What is in a mail, as keyed hashes. `links`: (host, key), `files` and `text`: keys."""

    links: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    text: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*(key for _, key in self.links), *self.files, *self.text)))


def carried(message: Message, text_fp: str, pseudonym: Callable[[str], str]) -> Carried:
    """Say what a mail carries.

    Args:
        text_fp: of its text (mail/fingerprint); a mail of hardly any text has none to be known by.
        pseudonym: makes the keyed hash that is kept.
    """
    places = (place for link in message.links[:_LINKS_AT_MOST] if (place := read(link)) is not None)
    contents = (part.content for part in message.attachments[:_FILES_AT_MOST] if part.content)
    letters = sum(map(str.isalpha, "".join(message.texts)))
    return Carried(
        links=tuple((x.host, pseudonym(f"link:{x.authority}{x.path}?{x.query}")) for x in places),
        files=tuple(pseudonym(f"file:{hashlib.sha256(content).hexdigest()}") for content in contents),
        text=(pseudonym(f"text:{text_fp}"),) if letters >= _LETTERS_AT_LEAST else (),
    )


def came_first(what: Carried, met: Collection[str], findings: Iterable[Finding]) -> bool:
    """Say whether all that was found in a mail had come from outside before.

    Args:
        met: the keys that had.
        findings: those behind its breaches.
    """
    return bool(met) and all(_came(finding, what, met) for finding in findings)


def _came(finding: Finding, what: Carried, met: Collection[str]) -> bool:
    if finding.code.startswith(_OF_FILES):
        # Which of the files it is in is not always said; a virus in none of them is in the text.
        return bool(what.files or what.text) and all(key in met for key in what.files or what.text)
    if finding.code.startswith(_OF_LINKS):
        named = {value for name, value in finding.why if name == "domain"}
        meant = [key for host, key in what.links if not named or any(_is_in(host, domain) for domain in named)]
        return bool(meant) and all(key in met for key in meant)
    return True


def _is_in(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
