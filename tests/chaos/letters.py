"""The mails of the campaign: one script an account, in stages; what each mail is and what must become of it.

Each mail is known by its Message-ID, whatever hops add, and by the digest of its body. An account first writes clean
mail, then commits the breaches of tests/chaos/terms one after the other, each in two or three mails, and more clean
mail between; the last breach suspends it. The mails of a stage may be under way at once, the stages come in order.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

from tests.chaos.terms import BAD_HOST, KINDS, Kind
from tests.kit.client import Letter

DOMAIN = "corp.example"
ELSEWHERE = "customers.example"
# Mails of one breach: the second and third add to the incident of the first.
EACH_BREACH = 2
# Clean mails in each stage before the last.
CLEAN_EACH = 3
# In these stages one mail is held.
HELD_IN = (1, 3)
# One clean mail in so many is large enough to come in several pieces.
LARGE_EACH = 8
LARGE_BYTES = 60_000
# And one in so many has several recipients.
MANY_EACH = 5

_BOUNDARY = "=_campaign"
_DATE = "Mon, 02 Mar 2026 09:00:00 +0000"


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail of the campaign. `kind` is None for a clean one. `is_held`: it is held, and a person decides."""

    ident: str
    login: str | None
    kind: Kind | None
    letter: Letter
    body_sha: str
    is_after_suspension: bool = False
    is_held: bool = False

    @property
    def must_be_refused(self) -> bool:
        return self.is_after_suspension or (self.kind is not None and self.kind.is_refused)


def login_of(number: int) -> str:
    return f"u{number}@{DOMAIN}"


def mails_an_account() -> int:
    """Say how many mails the script of one account has."""
    return sum(len(stage) for stage in script(0, random.Random(0)))


def script(number: int, dice: random.Random) -> list[list[Mail]]:
    """Write the stages of one account."""
    login = login_of(number)
    stages: list[list[Mail]] = [[_clean(login, f"{number}.0.{n}", dice) for n in range(CLEAN_EACH)]]
    for stage, kind in enumerate(KINDS, 1):
        mails = [_breach(login, f"{number}.{stage}.b{n}", kind, dice) for n in range(EACH_BREACH)]
        if stage < len(KINDS):
            mails += [_clean(login, f"{number}.{stage}.{n}", dice) for n in range(CLEAN_EACH)]
            mails += [_held(login, f"{number}.{stage}.h", dice)] if stage in HELD_IN else []
            dice.shuffle(mails)
        else:
            # One after the other: the second is refused by standing already, and leaves nothing.
            stages.append(mails[:1])
            mails = []
        stages.append(mails)
    stages[-1].append(_clean(login, f"{number}.{len(KINDS) + 1}.0", dice, is_after_suspension=True))
    return stages


def strangers(count: int, dice: random.Random) -> Iterator[Mail]:
    """Write mail from outside, for which nobody answers."""
    for number in range(count):
        yield _clean(None, f"s.{number}", dice)


def _clean(login: str | None, ident: str, dice: random.Random, *, is_after_suspension: bool = False) -> Mail:
    size = LARGE_BYTES if dice.randrange(LARGE_EACH) == 0 else dice.randrange(200, 4000)
    lines = []
    while size > 0:
        lines.append(" ".join(str(dice.randrange(10_000)) for _ in range(12)))
        size -= len(lines[-1]) + 2
    count = 3 if dice.randrange(MANY_EACH) == 0 else 1
    body = "\r\n".join(lines) + "\r\n"
    return _mail(login, ident, None, "text/plain", body, count=count, is_after_suspension=is_after_suspension)


def _held(login: str, ident: str, dice: random.Random) -> Mail:
    # Begins like an archive and is none.
    broken = base64.b64encode(b"PK\x03\x04" + ident.encode() * 20).decode()
    return replace(_attached(login, ident, None, "list.zip", _words(dice), broken), is_held=True)


def _words(dice: random.Random) -> str:
    return " ".join("".join(dice.choices(ascii_lowercase, k=dice.randrange(3, 9))) for _ in range(40))


def _breach(login: str, ident: str, kind: Kind, dice: random.Random) -> Mail:
    # No two alike: breaches of one text are one incident (STANDING 5.3).
    word = "".join(dice.choices(ascii_lowercase, k=12))
    text = _words(dice)
    match kind.name:
        case "feed":
            return _mail(login, ident, kind, "text/plain", f"{text}\r\nhttp://{BAD_HOST}/{word}\r\n")
        case "address":
            return _mail(login, ident, kind, "text/plain", f"{text}\r\nhttp://8.8.8.8/{word}\r\n")
        case "userinfo":
            return _mail(login, ident, kind, "text/plain", f"{text}\r\nhttp://bank.example@other.example/{word}\r\n")
        case "program":
            return _attached(login, ident, kind, "tool.exe", text)
        case "macro":
            return _attached(login, ident, kind, "list.docm", text)
    raise ValueError(kind.name)


def _attached(login: str, ident: str, kind: Kind | None, name: str, text: str, coded: str | None = None) -> Mail:
    encoding = "" if coded is None else "Content-Transfer-Encoding: base64\r\n"
    body = (
        f"--{_BOUNDARY}\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
        f"--{_BOUNDARY}\r\nContent-Type: application/octet-stream\r\n"
        f'{encoding}Content-Disposition: attachment; filename="{name}"\r\n\r\n'
        f"{coded or f'nothing {ident}'}\r\n--{_BOUNDARY}--\r\n"
    )
    return _mail(login, ident, kind, f'multipart/mixed; boundary="{_BOUNDARY}"', body)


def _mail(
    login: str | None,
    ident: str,
    kind: Kind | None,
    content_type: str,
    body: str,
    *,
    count: int = 1,
    is_after_suspension: bool = False,
) -> Mail:
    domain = ELSEWHERE if login else DOMAIN
    sender = login or f"stranger.{ident}@{ELSEWHERE}"
    recipients = tuple(f"r{ident}.{n}@{domain}" for n in range(count))
    head = (
        f"From: {sender}\r\nTo: {recipients[0]}\r\nSubject: {ident}\r\nDate: {_DATE}\r\n"
        f"Message-ID: <{ident}@campaign.example>\r\nMIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n"
    )
    octets = body.encode("ascii")
    return Mail(
        ident=ident,
        login=login,
        kind=kind,
        letter=Letter(sender=sender, recipients=recipients, raw=head.encode("ascii") + octets),
        body_sha=hashlib.sha256(octets).hexdigest(),
        is_after_suspension=is_after_suspension,
    )


def of_accounts(scripts: Sequence[Sequence[Sequence[Mail]]]) -> list[Mail]:
    """Say all mails of these scripts."""
    return [mail for stages in scripts for stage in stages for mail in stage]
