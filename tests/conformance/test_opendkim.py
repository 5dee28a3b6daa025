"""Three verifiers on real mail: ours, dkimpy and OpenDKIM, on re-signed copies and on what vandals make of them.

The mail's own keys are gone, so every copy is signed anew: in turn by dkimpy in each form and by ourselves. A
difference is an entry of `DIFFERENCES` with its reason; an entry that nothing stands for any more fails the long run.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from filterd.checks import dkim
from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.sign import FIELD, SigningKey, dkim_value, signed_names
from filterd.mail import fields
from filterd.mail.edit import prepend_fields, remove_fields
from filterd.mail.parse import parse
from filterd.model.session import Direction
from tests.bench.mails import dev_mails
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
    """What each says of a mail: the signature holds, does not, or (None) was not looked at."""

    ours: bool | None
    dkimpy: bool | None
    opendkim: bool | None


# What the three said, and why they may.
DIFFERENCES: dict[Words, str] = {
    Words(False, False, True): "simple: a blank put behind the colon, which `opendkim -t` takes out again",
    Words(True, True, None): "a field of more than 4 kB: `opendkim -t` sees no signature in such a header",
    Words(False, False, None): "the same, vandalised",
    Words(False, None, None): "a header broken in the middle: the other two read no mail in that",
}


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


def mails(count: int) -> Iterator[tuple[str, bytes]]:
    """Give signed copies and vandalised ones, each with what it is."""
    dice = random.Random(SEED)
    for number, raw in enumerate(dev_mails(count)):
        copy = signed(raw, FORMS[number % len(FORMS)])
        if copy is not None:
            yield f"{number} as signed", copy
            yield f"{number} vandalised", vandalised(copy, dice)


async def compared(count: int, folder: Path) -> Counter[Words]:
    verifier = OpenDkim(folder, RECORDS)
    said: Counter[Words] = Counter()
    for what, raw in mails(count):
        words = Words(await ours(raw), theirs(raw), verifier.verifies(raw))
        said[words] += 1
        assert len(set(words)) == 1 or words in DIFFERENCES, (what, words, raw[:3000])
        assert not what.endswith("as signed") or words.ours or words in DIFFERENCES, (what, words)
    return said


async def test_three_verifiers_agree(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    said = await compared(150, tmp_path)
    record_server(request.config, "opendkim", OpenDkim(tmp_path, RECORDS).version)
    print(dict(said))
    assert said[Words(True, True, True)] > 100
    assert said[Words(False, False, False)] > 20


@pytest.mark.nightly
async def test_three_verifiers_agree_on_all_mail(tmp_path: Path) -> None:
    said = await compared(10_000, tmp_path)
    print(dict(said))
    assert {words for words in said if len(set(words)) > 1} == set(DIFFERENCES)
