"""Three verifiers on real mail: ours, dkimpy and OpenDKIM, on re-signed copies and on what vandals make of them.

The mail's own keys are gone, so every copy is signed anew: in turn by dkimpy in each form and by ourselves. A
difference is an entry of `DIFFERENCES` with its reason, and the reason is tried on the very mail: with what it names
mended, or under another From, the three must say as it has it. An entry that nothing stands for fails the long run.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from filterd.checks import dkim
from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.fetch import KeyAnswer
from filterd.checks.dkim.sign import FIELD, SigningKey, dkim_value, signed_names
from filterd.mail import fields
from filterd.mail.edit import prepend_fields, remove_fields
from filterd.mail.parse import parse
from filterd.model.session import Direction
from tests.bench.mails import came_signed, dev_mails
from tests.checks.contexts import context, transaction
from tests.conftest import record_server
from tests.kit.opendkim import OpenDkim
from tests.kit.signing_keys import record, rsa_key
from tests.kit.zones import ZoneLookups

pytestmark = [pytest.mark.server, pytest.mark.data]

DOMAIN, SELECTOR = "signer.example", "s"
KEY = SigningKey(domain=DOMAIN, selector=SELECTOR, private=rsa_key(2048))
PEM = rsa_key(2048).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
RECORDS = {f"{SELECTOR}._domainkey.{DOMAIN}": record(rsa_key(2048))}
FORMS = ((b"simple", b"simple"), (b"relaxed", b"relaxed"), (b"relaxed", b"simple"), (b"simple", b"relaxed"), None)
SEED = 20261122
# `opendkim -t` rebuilds each field as `Name: value`, as a milter does that does not ask for leading blanks; under
# `simple`, copies are made like that before they are signed.
_BLANKS = re.compile(rb"(?m)^([!-9;-~]+)[ \t]*:(?:[ \t]|\r\n[ \t])*(?=[^ \t\r\n])")
_TRAILING = re.compile(rb"[ \t]+\r\n")


class Words(NamedTuple):
    """What each says of a mail: the signature holds, does not, or (None) there is none, or no mail. OpenDKIM's is what
    `OpenDkim.says`."""

    ours: bool | None
    dkimpy: bool | None
    opendkim: str

    @property
    def agree(self) -> bool:
        words = {True: "succeeded", False: "failed", None: "message not signed"}
        return self.ours == self.dkimpy and self.opendkim == words[self.ours]


class Difference(NamedTuple):
    """What the three said, why they may, and what shows that this is why in a mail."""

    words: Words
    reason: str
    is_so: Callable[[bytes, OpenDkim], bool]


def holds(raw: bytes) -> bool:
    """Say whether our own judge passes a mail."""
    message, answers = parse(raw), {name: KeyAnswer(records=(text.encode(),)) for name, text in RECORDS.items()}
    canonical, now = Canonical(message), int(datetime.now(UTC).timestamp())
    said = dkim.judge(message, canonical, dkim.examine(message, canonical, now), answers)
    return [result.result for result in said.results] == ["pass"]


def with_usual_blanks(raw: bytes) -> bytes:
    """Put one blank behind each colon, as `opendkim -t` does."""
    body = fields.split(raw, limits=None).body
    return _BLANKS.sub(rb"\1: ", raw[:body]) + raw[body:]


def without_rubbish_behind_padding(raw: bytes) -> bytes:
    return re.sub(rb"(?s)( b=[^;]*?=)[A-Za-z0-9+/]+\r\n", rb"\1=\r\n", raw, count=1)


def with_another_from(raw: bytes) -> bytes:
    return b"From: a@signer.example\r\n" + remove_fields(raw, ("from",))


def is_looked_at_under_another_from(raw: bytes, verifier: OpenDkim) -> bool:
    return verifier.says(with_another_from(raw)) in ("failed", "succeeded")


def is_bad_syntax(raw: bytes, _: OpenDkim) -> bool:
    message = parse(raw)
    (one,) = dkim.examine(message, Canonical(message), 0)
    return one.fate is Fate.SYNTAX


def broken_line(raw: bytes) -> bytes | None:
    """Give the line in the header that is no field, with its continuation."""
    block = fields.split(raw, limits=None)
    return re.split(rb"\r\n(?![ \t])", raw[block.broken :], maxsplit=1)[0] if block.broken is not None else None


def has_colon_in_broken_line(raw: bytes, _: OpenDkim) -> bool:
    return b":" in (broken_line(raw) or b"")


_NAME = "the same, with a colon farther on in that line: OpenDKIM takes all before it for a name and reads on"
_FROM = "a From in which OpenDKIM finds no address (an open quote, `<>`, no @): then it looks at no signature"
DIFFERENCES = (
    Difference(
        Words(False, False, "succeeded"),
        "simple: blanks were changed behind a colon, and `opendkim -t` makes one of them before it verifies",
        lambda raw, _: holds(with_usual_blanks(raw)),
    ),
    Difference(
        Words(False, False, "succeeded"),
        "octets behind the padding of b=, which OpenDKIM leaves unread; that is no base64",
        lambda raw, _: holds(without_rubbish_behind_padding(raw)),
    ),
    Difference(Words(True, True, "message not signed"), _FROM, is_looked_at_under_another_from),
    Difference(Words(False, False, "message not signed"), _FROM, is_looked_at_under_another_from),
    Difference(
        Words(False, False, ""), "a signature field that breaks its grammar: OpenDKIM prints nothing", is_bad_syntax
    ),
    Difference(
        Words(False, None, "header malformed"),
        "a line in the header that is no field: the other two read no mail in that",
        lambda raw, _: broken_line(raw) is not None,
    ),
    Difference(Words(False, None, "failed"), _NAME, has_colon_in_broken_line),
    Difference(Words(False, None, "succeeded"), _NAME, has_colon_in_broken_line),
    Difference(
        Words(None, False, "message not signed"),
        "the signature's name was struck, so there is none; dkimpy has one word for none and a bad one",
        lambda raw, _: parse(raw).first("dkim-signature") is None,
    ),
)


def signed(raw: bytes, form: tuple[bytes, bytes] | None) -> bytes | None:
    """Sign a mail by dkimpy, or, without a form, as we do; None: it is no mail that anybody would sign."""
    # SMTP knows no mail whose last line has no end.
    raw = remove_fields(raw, ("dkim-signature",)).removesuffix(b"\r\n") + b"\r\n"
    block = fields.split(raw, limits=None)
    named = [name.lower() for _, name, *_ in block.fields]
    # What is empty is rebuilt with a blank, too.
    values = {name.lower() for whole, name, *_ in block.fields if whole.partition(b":")[2].strip()}
    if block.broken is not None or block.blank is not None or named.count(b"from") != 1 or block.defects:
        return None
    if form is None:
        message = parse(raw)
        canonical = Canonical(message)
        names = signed_names(canonical)
        now = int(datetime.now(UTC).timestamp())
        return prepend_fields(raw, [(FIELD, dkim_value(canonical, KEY, names, now))]) if names is not None else None
    if form[0] == b"simple":
        raw = _TRAILING.sub(b"\r\n", _BLANKS.sub(rb"\1: ", raw[: block.body])) + raw[block.body :]
    wanted = [name for name in (b"from", b"to", b"subject", b"date", b"message-id", b"content-type") if name in values]
    return bytes(
        dkimpy.sign(raw, SELECTOR.encode(), DOMAIN.encode(), PEM, canonicalize=form, include_headers=wanted) + raw
    )


def vandalised(raw: bytes, dice: random.Random) -> bytes:
    """Change something small somewhere: a letter, a blank, a field on top, empty lines or a line at the end."""
    at = dice.randrange(len(raw))
    match dice.randrange(5):
        case 0:
            letter = b"x" if raw[at : at + 1] not in b"\r\nx" else raw[at : at + 1]
            return raw[:at] + letter + raw[at + 1 :]
        case 1:
            return raw.replace(b" ", b"  ", 1) if at % 2 else raw[:at].replace(b" ", b"\t") + raw[at:]
        case 2:
            return b"Subject: another\r\n" + raw
        case 3:
            return raw + b"\r\n" * dice.randrange(1, 4)
        case _:
            return raw + b"unsubscribe\r\n"


async def ours(raw: bytes) -> bool | None:
    seen = context(
        raw,
        message=parse(raw),
        direction=Direction.INBOUND,
        transaction=transaction(raw, received_at=datetime.now(UTC)),
        dns=ZoneLookups({name: {"TXT": [text]} for name, text in RECORDS.items()}),
    )
    words = [result.result for result in (await dkim.make().run(seen)).results]
    return None if words == ["none"] else words == ["pass"]


def theirs(raw: bytes) -> bool | None:
    known = {f"{name}.".encode(): text.encode() for name, text in RECORDS.items()}
    try:
        return bool(dkimpy.verify(raw, dnsfunc=lambda name, timeout=5: known.get(name)))
    except (dkimpy.DKIMException, ValueError, IndexError, KeyError):
        # FAULTS F8: it raises for mail it cannot read.
        return None


def copies(raws: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Give signed copies and vandalised ones, each with what it is."""
    dice = random.Random(SEED)
    for number, raw in enumerate(raws):
        copy = signed(raw, FORMS[number % len(FORMS)])
        if copy is not None:
            yield f"{number} as signed", copy
            yield f"{number} vandalised", vandalised(copy, dice)


async def compared(raws: Iterable[bytes], folder: Path) -> tuple[Counter[Words], Counter[Difference]]:
    """Have all three judge all copies; says their words, and which differences there were, each shown to be that."""
    verifier = OpenDkim(folder, RECORDS)
    said, differences = Counter[Words](), Counter[Difference]()
    for what, raw in copies(raws):
        words = Words(await ours(raw), theirs(raw), verifier.says(raw))
        said[words] += 1
        if not words.agree:
            why = [one for one in DIFFERENCES if one.words == words and one.is_so(raw, verifier)]
            assert why, (what, words, raw[:3000])
            differences[why[0]] += 1
        assert not what.endswith("as signed") or words.ours, (what, words)
    return said, differences


async def test_three_verifiers_agree(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    said, _ = await compared(dev_mails(150), tmp_path)
    record_server(request.config, "opendkim", OpenDkim(tmp_path, RECORDS).version)
    print(dict(said))
    assert said[Words(True, True, "succeeded")] > 100
    assert said[Words(False, False, "failed")] > 20


@pytest.mark.nightly
@pytest.mark.timeout(14_400)
async def test_three_verifiers_agree_on_all_mail(tmp_path: Path) -> None:
    """All mail of the dev split, and every mail that came signed. An entry that no mail stands for has to go."""
    seen: set[Difference] = set()
    for raws in (dev_mails(10_000), came_signed()):
        said, differences = await compared(raws, tmp_path)
        print(dict(said), {one.reason: count for one, count in differences.items()})
        assert said[Words(True, True, "succeeded")] > 2_000
        seen |= set(differences)
    assert seen == set(DIFFERENCES)
