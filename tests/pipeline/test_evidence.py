"""How much is kept of a mail: what its categories ask, below the operator's ceiling; and who may look at it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from filterd import app
from filterd.agreement.terms import Agreement
from filterd.config import Config
from filterd.errors import RefusedError
from filterd.ledger.link import Verb
from filterd.model import records as r
from filterd.model.evidence import Kept, kept, strongest
from filterd.pipeline import evidence
from filterd.pipeline.person_acts import person_add
from filterd.pipeline.verbs import MailVerbs
from tests.kit.house import House, letter
from tests.pipeline.test_gate import CONFIG

pytestmark = pytest.mark.slow

LOGIN = "alice@cust.example"
VIRUS = "virus.signature.match"
MAIL = letter("quarterly numbers")


@pytest.mark.parametrize(
    ("words", "at_most", "expected"),
    [
        (["full"], Kept.FULL, Kept.FULL),
        (["headers", "excerpt", "hash"], Kept.FULL, Kept.EXCERPT),
        (["full"], Kept.HEADERS, Kept.HEADERS),
        (["none"], Kept.FULL, Kept.NONE),
        (["hash_only"], Kept.FULL, Kept.HASH),
        # Whatever else such a mail breaches, nobody may have it.
        (["full", "hash_only", "excerpt"], Kept.FULL, Kept.HASH),
        (["hash_only"], Kept.NONE, Kept.NONE),
        ([], Kept.FULL, Kept.NONE),
    ],
)
def test_the_strongest_class_wins_below_the_ceiling(words: list[str], at_most: Kept, expected: Kept) -> None:
    assert strongest(words, at_most) is expected


def test_a_class_is_a_word() -> None:
    assert [kept(item.word) for item in Kept] == list(Kept)
    with pytest.raises(ValueError, match="no class"):
        kept("everything")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = await House(tmp_path, Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})).open()
    yield house
    await house.close()


def ask(house: House, word: str | None, **rules: Any) -> None:
    """Have every category ask for this, and the operator for what `rules` say."""
    terms = house.terms()
    if word is not None:
        categories = tuple(item.model_copy(update={"evidence": word}) for item in terms.category)
        terms = Agreement.model_validate(terms.model_copy(update={"category": categories}))
    house.agreements[terms.id] = house.by_digest[terms.digest] = terms
    desk = replace(app.desk_rules(house.config, house.agreements), by_digest=house.by_digest, **rules)
    house.gate._terms = house.agreements
    house.gate._default_terms = terms
    house.ledger._verbs["decide"] = replace(house.ledger._verbs["decide"], run=MailVerbs(desk).decide)


@pytest.mark.parametrize(
    ("word", "rules", "expected"),
    [
        (None, {}, "full"),
        ("excerpt", {}, "excerpt"),
        (None, {"evidence_at_most": Kept.HEADERS}, "headers"),
        ("hash", {}, "hash"),
        ("none", {}, "none"),
    ],
)
async def test_a_decision_keeps_what_the_category_asks(
    house: House, word: str | None, rules: dict[str, Any], expected: str
) -> None:
    ask(house, word, **rules)
    house.script.codes = (VIRUS,)
    await house.send(MAIL, "bob@other.example", login=LOGIN)
    account = await house.ledger.account_for(LOGIN, may_create=False)
    assert account is not None
    found = await house.engine.submit(lambda txn: txn.evidence_of(account.account_id))
    assert [item.kept.word for item in found] == ([expected] if expected != "none" else [])
    records = await house.engine.submit(lambda txn: txn.records(account.account_id))
    (said,) = (item for item in records if isinstance(item, r.ViolationRecorded))
    digest = hashlib.sha256(MAIL).hexdigest()
    assert (said.evidence_kept, said.evidence_digest) == (expected, None if expected == "none" else digest)
    content = await house.engine.read_evidence(digest, account.account_id)
    match expected:
        case "full":
            assert content == MAIL
        case "none" | "hash":
            assert content is None
        case _:
            assert content is not None
            assert b"quarterly numbers" in content
            assert (b"see you on Tuesday" in content) == (expected == "excerpt")
    assert list((house.folder / "spool").iterdir()) == []


# --- people -----------------------------------------------------------------------------------------------------------


async def person(house: House, name: str, role: str) -> str:
    given = {"name": name, "role": role, "as_root": True}
    return str((await house.engine.submit(lambda txn: person_add(txn, given)))["token"])


@pytest.fixture
async def caught(house: House) -> House:
    """A house whose account has been caught once, with the verbs of this module."""
    for name, run in evidence.table().items():
        house.ledger._verbs[name] = Verb(request=None, response=None, run=run)
    house.script.codes = (VIRUS,)
    await house.send(MAIL, "bob@other.example", login=LOGIN)
    return house


async def rows(house: House, kind: str) -> list[Any]:
    account = await house.ledger.account_for(LOGIN, may_create=False)
    assert account is not None
    known = await house.engine.submit(lambda txn: txn.records(account.account_id))
    return [item for item in known if type(item).__name__ == kind]


@pytest.mark.parametrize("role", ["viewer", "admin", "auditor", "policy_editor", "approver"])
async def test_nobody_else_looks_at_evidence(caught: House, role: str) -> None:
    token = await person(caught, "Eve", role)
    (mail,) = await rows(caught, "ViolationRecorded")
    for verb in ("evidence.show", "evidence.read"):
        for given in ({"token": token}, {}):
            with pytest.raises(RefusedError):
                await caught.ledger.call(verb, {"target": mail.transaction_id, "reason": "x", **given})
    moderator = await person(caught, "Mo", "moderator")
    with pytest.raises(RefusedError, match="why"):
        await caught.ledger.call("evidence.show", {"target": mail.transaction_id, "token": moderator})
    assert await rows(caught, "EvidenceViewed") == []


async def test_who_looks_is_on_record_first(caught: House) -> None:
    token = await person(caught, "Rui", "reviewer")
    (mail,) = await rows(caught, "ViolationRecorded")
    given = {"token": token, "reason": "appeal 12"}
    said = await caught.ledger.call("evidence.show", {"target": mail.incident_id[2:16], **given})
    assert [(m["transaction_id"], m["kept"], m["digest"]) for m in said["mails"]] == [
        (mail.transaction_id, "full", hashlib.sha256(MAIL).hexdigest())
    ]
    read = await caught.ledger.call("evidence.read", {"target": mail.transaction_id, **given})
    assert (read["size_bytes"], read["next"]) == (len(MAIL), None)
    viewed = await rows(caught, "EvidenceViewed")
    assert [(v.by, v.reason, v.has_content, v.digests) for v in viewed] == [
        ("Rui", "appeal 12", False, (mail.evidence_digest,)),
        ("Rui", "appeal 12", True, (mail.evidence_digest,)),
    ]


async def test_what_is_large_comes_in_pieces(caught: House, monkeypatch: pytest.MonkeyPatch) -> None:
    import base64

    monkeypatch.setattr(evidence, "CHUNK_BYTES", 50)
    token = await person(caught, "Rui", "reviewer")
    (mail,) = await rows(caught, "ViolationRecorded")
    octets, offset = b"", 0
    while offset is not None:
        given = {"target": mail.transaction_id, "token": token, "reason": "x", "offset": offset}
        said = await caught.ledger.call("evidence.read", given)
        octets += base64.b64decode(said["octets"])
        offset = said["next"]
    assert octets == MAIL


async def test_a_legal_hold_takes_two_people_to_end(caught: House) -> None:
    ana, bo = await person(caught, "Ana", "moderator"), await person(caught, "Bo", "approver")
    said = await caught.ledger.call("evidence.hold", {"case": LOGIN, "token": ana, "reason": "court order 7"})

    async def release(token: str) -> bool:
        given = {"case": LOGIN, "hold": said["hold_id"], "token": token, "reason": "withdrawn"}
        return bool((await caught.ledger.call("evidence.release", given))["is_over"])

    assert await release(ana) is False
    with pytest.raises(RefusedError, match="another person"):
        await release(ana)
    # Three days later it is forgotten.
    caught.clock.advance(hours=73)
    assert await release(bo) is False
    caught.clock.advance(hours=71)
    assert await release(ana) is True
    with pytest.raises(RefusedError, match="no such legal hold"):
        await release(bo)


async def test_whoever_is_alone_looks_a_second_time_a_day_later(caught: House) -> None:
    ana = await person(caught, "Ana", "moderator")
    await caught.ledger.call("evidence.hold", {"case": LOGIN, "token": ana, "reason": "x"})
    given = {"case": LOGIN, "token": ana, "reason": "x"}
    assert (await caught.ledger.call("evidence.release", given))["is_over"] is False
    caught.clock.advance(hours=23)
    with pytest.raises(RefusedError, match="24 h"):
        await caught.ledger.call("evidence.release", given)
    caught.clock.advance(hours=1)
    assert (await caught.ledger.call("evidence.release", given))["is_over"] is True
    assert [item.is_self_review for item in await rows(caught, "EvidenceReleased")] == [False, True]
