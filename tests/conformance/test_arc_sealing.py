"""The ValiMail suite for sealing: RFC 8617 §5.1, all cases.

Not byte for byte: which fields are signed is the sealer's choice, and ours names From and others once more than they
occur. What does not depend on that choice is as the suite has it: what becomes of the chain, the results, comments and
all, the body's hash, who sealed and when. And what we sealed holds, for us and for dkimpy.
"""

from __future__ import annotations

import re
from typing import cast

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from filterd.checks import arc
from filterd.checks.arc_seal import seal_fields
from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.sign import SigningKey
from filterd.mail.edit import prepend_fields
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.session import Direction
from filterd.model.verdict import Verdict
from tests.checks.contexts import context
from tests.conformance.arc_suite import SealCase, read_sealing
from tests.conftest import find_data
from tests.kit.zones import ZoneLookups

SUITE = "conformance/arc/arc-draft-sign-tests.yml"
_DATA = find_data()
CASES = read_sealing(_DATA / SUITE) if _DATA else []

pytestmark = pytest.mark.data


def tags(value: str) -> set[str]:
    """As the suite compares: between semicolons, without blanks."""
    return {part for tag in value.split(";") if (part := re.sub(r"\s", "", tag))}


def tag(value: str, name: str) -> str:
    return next(part.partition("=")[2] for part in tags(value) if part.startswith(f"{name}="))


def results(raw: bytes, authserv_id: str) -> str:
    """Merge the Authentication-Results of one server, as text: comments belong to it."""
    found = []
    for field in parse(raw).all("authentication-results"):
        server, _, said = field.raw.partition(b":")[2].decode().replace("\r\n", "").strip().partition(";")
        if server.strip() == authserv_id:
            found.append(said.strip().removesuffix(";"))
    return "; ".join([authserv_id, *found])


async def judged(raw: bytes, zone: dict[str, str]) -> Verdict:
    records = {name: {"TXT": [text]} for name, text in zone.items()}
    return await arc.make().run(context(raw, message=parse(raw), direction=Direction.INBOUND, dns=ZoneLookups(records)))


def theirs(raw: bytes, zone: dict[str, str]) -> str:
    known = {f"{name}.".encode(): text.encode() for name, text in zone.items()}
    status, _, _ = dkimpy.arc_verify(raw, dnsfunc=lambda name, timeout=5: known.get(name))
    return (status or b"fail").decode()


async def sealed(case: SealCase) -> tuple[tuple[tuple[str, str], ...], bytes, str]:
    """Seal the mail of a case, as the mail path does; gives the set, the whole mail, and what became of the chain."""
    raw, _ = canonical(case.message)
    found = (await judged(raw, case.zone)).results[0].result
    private = cast(RSAPrivateKey, load_pem_private_key(case.private, password=None))
    key = SigningKey(domain=case.domain, selector=case.selector, private=private)
    message = parse(raw)
    added = seal_fields(message, Canonical(message), key, found, results(raw, case.authserv_id), case.at)
    return added, prepend_fields(raw, added), found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_set_says_what_the_suite_s_says_and_holds(case: SealCase) -> None:
    added, raw, found = await sealed(case)
    if not case.seal.strip():
        assert added == ()
        return
    (_, seal), (_, signature), (_, said) = added
    assert tag(case.seal, "cv") == found
    assert {x for x in tags(seal) if not x.startswith("b=")} == {x for x in tags(case.seal) if not x.startswith("b=")}
    assert tags(said) == tags(case.results)
    own = ("b=", "h=")
    assert {x for x in tags(signature) if not x.startswith(own)} == {
        x for x in tags(case.signature) if not x.startswith(own)
    }
    assert set(tag(signature, "h").split(":")) >= set(case.signed.split(":")) & {
        field.key for field in parse(raw).fields
    }
    again = (await judged(raw, case.zone)).results[0]
    assert again.result == theirs(raw, case.zone) == ("pass" if found != "fail" else "fail")
    assert found != "fail" or again.comment == f"ended at i={tag(seal, 'i')}"


def test_the_suite_was_read_whole() -> None:
    assert len(CASES) == 17
    assert [case.name for case in CASES if not case.seal.strip()] == ["no_additional_sig"]
