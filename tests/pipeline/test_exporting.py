"""Evidence for an authority: two people, an order with its digest, a row for every mail.  STANDING 5.5, AL-4.2."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.pipeline import exporting
from tests.kit.house import letter
from tests.pipeline.people import ALICE, BOB, VIRUS, Office, open_office

pytestmark = pytest.mark.slow

DOCUMENT = hashlib.sha256(b"order 7 of the court").hexdigest()
ORDER = {"authority_kind": "legal_process", "document": "D-7", "document_digest": DOCUMENT, "scope": "mail of March"}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        await opened.spread(subject="v1")
        yield opened


async def both(office: Office, act: str, **terms: Any) -> dict[str, Any]:
    made = await office.act("dana", "proposal.make", act=act, subject=ALICE, reason="told so", **terms)
    given = {"proposal": made["proposal_id"], "digest": made["digest"]}
    said: dict[str, Any] = await office.act("erin", "proposal.approve", **given)
    return said


async def mail(office: Office) -> r.ViolationRecorded:
    account = await office.mailbox()
    found = [x for x in office.records(account.account_id) if isinstance(x, r.ViolationRecorded)]
    return found[0]


async def ordered(office: Office) -> dict[str, Any]:
    """Enter the request; say what an export of it is proposed with."""
    order = await both(office, "register.legal_request", **ORDER)
    return {"case": (await mail(office)).transaction_id, "order": order["entry_id"], "to": "District court 3"}


async def exported(office: Office) -> dict[str, Any]:
    return await both(office, "evidence.export", **await ordered(office))


async def taken(office: Office) -> list[r.EvidenceTaken]:
    account = await office.mailbox()
    return [x for x in office.records(account.account_id) if isinstance(x, r.EvidenceTaken)]


async def test_two_people_let_it_out_and_every_mail_that_goes_is_a_row(office: Office) -> None:
    done, found = await exported(office), await mail(office)
    shown = await office.act("dana", "evidence.take", export=done["export"])
    assert (shown["to"], shown["document"], shown["document_digest"]) == ("District court 3", "D-7", DOCUMENT)
    assert [x["transaction_id"] for x in shown["mails"]] == [found.transaction_id]
    assert await taken(office) == []
    said = await office.act("erin", "evidence.take", export=done["export"], transaction=found.transaction_id)
    octets = base64.b64decode(said["octets"])
    assert octets == letter("v1", sender=ALICE)
    (row,) = await taken(office)
    assert (row.digest, row.size_bytes, row.by) == (hashlib.sha256(octets).hexdigest(), len(octets), "erin")
    account = await office.mailbox()
    (let,) = [x for x in office.records(account.account_id) if isinstance(x, r.EvidenceExported)]
    assert (let.by, let.approver, let.order_digest, let.digests) == ("dana", "erin", DOCUMENT, (found.evidence_digest,))
    assert b"see you on Tuesday" not in str((let, row)).encode()


async def test_only_these_two_in_time_and_while_the_order_stands(office: Office) -> None:
    done = await exported(office)
    with pytest.raises(RefusedError, match="dana and erin stand behind this export"):
        await office.act("fritz", "evidence.take", export=done["export"])
    with pytest.raises(RefusedError, match="named person"):
        await office.ledger.call("evidence.take", {"export": done["export"]})
    with pytest.raises(UsageError, match="is not of this export"):
        await office.act("dana", "evidence.take", export=done["export"], transaction="t_other")
    office.clock.advance(hours=72)
    with pytest.raises(RefusedError, match="could be taken until"):
        await office.act("dana", "evidence.take", export=done["export"])


async def test_an_order_that_has_ended_lets_nothing_out(office: Office) -> None:
    wanted = await ordered(office)
    done = await both(office, "evidence.export", **wanted)
    await office.act("fritz", "register.end", entry=wanted["order"], reason="withdrawn")
    with pytest.raises(RefusedError, match="has ended"):
        await office.act("dana", "evidence.take", export=done["export"])
    with pytest.raises(RefusedError, match="no legal request in force"):
        await both(office, "evidence.export", **wanted)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"order": "g_none"}, "no legal request in force"),
        ({"to": ""}, "say --to"),
        ({"case": ""}, "say --case"),
    ],
)
async def test_what_cannot_be_handed_out_is_said(office: Office, change: dict[str, str], said: str) -> None:
    wanted = await ordered(office)
    with pytest.raises(RefusedError, match=said):
        await both(office, "evidence.export", **wanted | change)


async def test_another_account_s_mail_is_not_this_account_s(office: Office) -> None:
    wanted = await ordered(office)
    office.script.codes = (VIRUS,)
    await office.send(letter("other", sender="carl@cust.example"), BOB, login="carl@cust.example")
    carl = await office.mailbox("carl@cust.example")
    (theirs,) = [x for x in office.records(carl.account_id) if isinstance(x, r.ViolationRecorded)]
    with pytest.raises(RefusedError, match="is not of a_"):
        await both(office, "evidence.export", **wanted | {"case": theirs.transaction_id})


async def test_too_many_mails_are_several_exports(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = await ordered(office)
    monkeypatch.setattr(exporting, "MAX_MAILS", 0)
    with pytest.raises(RefusedError, match="1 mails; name transactions"):
        await both(office, "evidence.export", **wanted)


async def test_an_order_bears_the_digest_of_its_document(office: Office) -> None:
    for wrong in ("", "abc", "g" * 64):
        with pytest.raises(RefusedError, match=r"document.digest"):
            await both(office, "register.legal_request", **ORDER | {"document_digest": wrong})
    await both(office, "register.legal_request", **ORDER)
    (row,) = await office.act("dana", "register.list")
    assert row["document_digest"] == DOCUMENT


async def test_what_was_erased_meanwhile_makes_the_proposal_stale(office: Office) -> None:
    wanted = await ordered(office)
    made = await office.act("dana", "proposal.make", act="evidence.export", subject=ALICE, reason="told so", **wanted)
    account = await office.mailbox()
    office.clock.advance(hours=1)
    office.engine.run(lambda txn: txn.erase_subject(account.account_id))
    with pytest.raises((RefusedError, UsageError)):
        await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    assert [x for x in office.records(account.account_id) if isinstance(x, r.EvidenceExported)] == []


async def test_a_legal_hold_stays_as_it_is(office: Office) -> None:
    await office.act("dana", "evidence.hold", case=ALICE, reason="court order 7")
    done, found = await exported(office), await mail(office)
    await office.act("dana", "evidence.take", export=done["export"], transaction=found.transaction_id)
    shown = await office.act("fritz", "evidence.show", target=found.transaction_id, reason="look")
    assert len(shown["holds"]) == 1
    assert shown["mails"][0]["kept"] == "full"


async def test_the_auditor_reads_who_looked_and_who_took_and_others_do_not(office: Office) -> None:
    await office.hire("ava", role="auditor")
    done, found = await exported(office), await mail(office)
    await office.act("fritz", "evidence.show", target=found.transaction_id, reason="appeal 12")
    await office.act("dana", "evidence.take", export=done["export"], transaction=found.transaction_id)
    said = await office.act("ava", "evidence.reads")
    kinds = [row["kind"] for row in said["rows"]]
    assert kinds == ["evidence.exported", "evidence.viewed", "evidence.taken"]
    assert said["people"] == {
        "dana": {"evidence.exported": 1, "evidence.taken": 1},
        "fritz": {"evidence.viewed": 1},
    }
    assert [row["kind"] for row in (await office.act("ava", "evidence.reads", by="fritz"))["rows"]] == [
        "evidence.viewed"
    ]
    with pytest.raises(RefusedError, match=r"evidence\.reads takes one of"):
        await office.act("dana", "evidence.reads")
    office.clock.advance(days=31)
    assert (await office.act("ava", "evidence.reads"))["rows"] == []


async def test_the_tenant_s_people_do_not_learn_of_it(office: Office) -> None:
    await office.hire("tina", role="tenant_admin", tenant="cust.example")
    done, found = await exported(office), await mail(office)
    await office.act("dana", "evidence.take", export=done["export"], transaction=found.transaction_id)
    rows = await office.act("tina", "account.history", account=ALICE)
    assert not {"evidence.exported", "evidence.taken"} & {row["kind"] for row in rows}
    assert await office.act("tina", "proposal.list", all=True) == []
