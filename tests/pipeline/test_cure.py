"""The Aliyun way: a written notice first, a proportional sanction on it, and a cure that lifts it.  AL-7.1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.incident import is_in_probation
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from tests.pipeline.people import ALICE, ANN, Office, open_office

pytestmark = pytest.mark.slow

SUSPEND = {"account": ANN, "rung": "suspend", "clause": "7.1", "reason": "phishing from the mailbox"}
PARTS = {"stopped": "the script is off", "measures": "passwords changed", "compensation": "fee credited"}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin")
        await opened.reselling("dana")
        await opened.hire("jiang", role="reseller", dealer="Jiang Ltd")
        await opened.hire("anna", role="tenant_admin", tenant="acme.example")
        yield opened


async def warned(office: Office) -> str:
    """Have the reseller write, and the notice be received; say its id."""
    await office.act("jiang", "sanction.impose", account=ANN, rung="warn", clause="7.1", reason="breach of 3.2")
    assert "breach_notice" in office.promised()
    items = await office.engine.lease(office.clock.now() + timedelta(hours=1), 9)
    (item,) = [x for x in items if "templates" in x.payload]
    account = await office.mailbox(ANN)
    sent = r.NoticeSent(
        at=office.clock.now(),
        notice_id=f"m_{item.item_id}",
        account_id=account.account_id,
        incident_ids=(item.payload["incident_id"],),
        template="warning",
        languages=("zh-Hans",),
        channel="account",
        outcome="accepted",
        deemed_at=office.clock.now(),
        body_digest="",
    )
    office.engine.run(lambda txn: txn.append(sent, account_id=account.account_id, tenant_id=account.tenant_id))
    return sent.notice_id


async def suspended(office: Office) -> str:
    notice = await warned(office)
    office.clock.advance(hours=24)
    return str((await office.act("jiang", "sanction.impose", **SUSPEND, notice=notice))["sanction_id"])


# --- the written notice -----------------------------------------------------------------------------------------------


async def test_case_al_written_notice_first(office: Office) -> None:
    """T-AL-7.1: nothing above a warning without a notice that was received a day before, whatever the reason."""
    with pytest.raises(RefusedError, match="written notice first"):
        await office.act("jiang", "sanction.impose", **SUSPEND)
    with pytest.raises(UsageError, match="no written notice m_none"):
        await office.act("jiang", "sanction.impose", **SUSPEND, notice="m_none")
    notice = await warned(office)
    office.clock.advance(hours=23, seconds=3599)
    with pytest.raises(RefusedError, match="24 hours later"):
        await office.act("jiang", "sanction.impose", **SUSPEND, notice=notice)
    restrict = {**SUSPEND, "rung": "restrict", "features": ["links"], "hours": 9}
    with pytest.raises(RefusedError, match="24 hours later"):
        await office.act("jiang", "sanction.impose", **restrict, notice=notice)
    office.clock.advance(1)
    said = await office.act("jiang", "sanction.impose", **SUSPEND, notice=notice)
    assert (said["standing"], said["until"]) == ("suspended", None)
    *_, imposed = [x for x in office.records(said["account_id"]) if isinstance(x, r.SanctionImposed)]
    assert (imposed.notice_id, imposed.clauses, imposed.by) == (notice, ("7.1",), "jiang")
    # It rests on the case that was written about.
    warning = next(x for x in office.records(said["account_id"]) if isinstance(x, r.SanctionImposed))
    assert imposed.incident_id == warning.incident_id


async def test_a_notice_that_was_not_received_is_none(office: Office) -> None:
    await office.act("jiang", "sanction.impose", account=ANN, rung="warn", clause="7.1", reason="breach")
    account = await office.mailbox(ANN)
    incident = next(x for x in office.records(account.account_id) if isinstance(x, r.IncidentOpened))
    failed = r.NoticeSent(
        at=office.clock.now(), notice_id="m_failed", account_id=account.account_id,
        incident_ids=(incident.incident_id,), template="warning", languages=(), channel="none", outcome="failed",
        deemed_at=None, body_digest="",
    )  # fmt: skip
    office.engine.run(lambda txn: txn.append(failed, account_id=account.account_id, tenant_id=account.tenant_id))
    office.clock.advance(days=3)
    with pytest.raises(RefusedError, match="was not received"):
        await office.act("jiang", "sanction.impose", **SUSPEND, notice="m_failed")


async def test_the_notice_of_a_case_that_was_our_error_carries_nothing(office: Office) -> None:
    notice = await warned(office)
    (warning,) = (await office.show(ANN))["sanctions"]
    await office.act("jiang", "sanction.annul", sanction=warning["sanction_id"], reason="our error")
    office.clock.advance(days=2)
    with pytest.raises(UsageError, match="no written notice"):
        await office.act("jiang", "sanction.impose", **SUSPEND, notice=notice)


async def test_elsewhere_no_notice_is_asked_for(office: Office) -> None:
    await office.suspend("dana", ALICE)
    assert await office.standing() == "suspended"


async def test_an_account_is_terminated_by_law_alone(office: Office) -> None:
    """CLAUSES 0.1, §3: not a rung of the agreement; a statute, and two people of the enforcing party."""
    await office.hire("jin", role="reseller", dealer="Jiang Ltd")
    await suspended(office)
    wanted = {"act": "account.terminate", "subject": ANN, "reason": "order of the court"}
    with pytest.raises(RefusedError, match="on statute alone"):
        await office.act("jiang", "proposal.make", **wanted)
    with pytest.raises(RefusedError, match="reseller's to decide"):
        await office.act("dana", "proposal.make", **wanted, statute="CSL 47")
    proposal = await office.act("jiang", "proposal.make", **wanted, statute="CSL 47")
    approve = {"proposal": proposal["proposal_id"], "digest": proposal["digest"]}
    with pytest.raises(RefusedError, match="another person"):
        await office.act("jiang", "proposal.approve", **approve)
    with pytest.raises(RefusedError, match="reseller's to decide"):
        await office.act("erin", "proposal.approve", **approve)
    await office.act("jin", "proposal.approve", **approve)
    assert len((await office.show(ANN))["coming"]) == 1


# --- the cure ---------------------------------------------------------------------------------------------------------


async def test_a_cure_accepted_lifts_it_on_probation(office: Office) -> None:
    sanction = await suspended(office)
    filed = await office.act("anna", "cure.file", sanction=sanction, **PARTS)
    assert (filed["state"], filed["by"]) == ("open", "anna")
    assert await office.standing(ANN) == "suspended"
    office.clock.advance(hours=5)
    said = await office.act("jiang", "cure.answer", cure=filed["cure_id"], outcome="accepted", reason="seen")
    assert (said["state"], said["standing"]) == ("accepted", "warned")
    assert {"cure_received", "cure_accepted"} <= set(office.promised())
    await _is_on_probation(office, office.clock.now())


async def test_case_cure_unanswered_three_days(office: Office) -> None:
    """T-AL-7.1: nobody answered in three natural days, so who filed it is believed; no job has to run for that."""
    sanction = await suspended(office)
    # Suspended on 3 March at 09:00 in Shanghai and filed then: the third day after ends at 24:00 of the 6th.
    filed = await office.act("anna", "cure.file", sanction=sanction, **PARTS)
    assert filed["due_at"] == "2026-03-06T16:00:00Z"
    office.clock.set(office.at("2026-03-06T15:59:59+00:00"))
    assert await office.standing(ANN) == "suspended"
    before = office.records((await office.mailbox(ANN)).account_id)
    office.clock.advance(1)
    assert await office.standing(ANN) == "warned"
    assert office.records((await office.mailbox(ANN)).account_id) == before
    with pytest.raises(RefusedError, match="unanswered"):
        await office.act("jiang", "cure.answer", cure=filed["cure_id"], outcome="refused", reason="too late")
    await _is_on_probation(office, office.clock.now())


async def _is_on_probation(office: Office, since: datetime) -> None:
    account = await office.mailbox(ANN)
    terms = office.agreements["aliyun-mail"]
    history = office.engine.run(lambda txn: txn.history(account.account_id))
    days = [day for day in range(40) if is_in_probation(history, terms, since + timedelta(days=day))]
    assert days == list(range(terms.probation_days))


async def test_a_cure_refused_leaves_it_and_can_be_filed_again(office: Office) -> None:
    sanction = await suspended(office)
    filed = await office.act("anna", "cure.file", sanction=sanction, **PARTS)
    with pytest.raises(RefusedError, match="waits for its answer"):
        await office.act("anna", "cure.file", sanction=sanction, **PARTS)
    said = await office.act("jiang", "cure.answer", cure=filed["cure_id"], outcome="refused", reason="it goes on")
    assert (said["state"], said["standing"]) == ("refused", "suspended")
    assert "cure_refused" in office.promised()
    office.clock.advance(days=9)
    assert await office.standing(ANN) == "suspended"
    again = await office.act("anna", "cure.file", sanction=sanction, **PARTS)
    assert again["state"] == "open"


@pytest.mark.parametrize("part", ["stopped", "measures", "compensation"])
async def test_every_part_is_asked_for_and_a_written_waiver_stands_for_the_last(office: Office, part: str) -> None:
    sanction = await suspended(office)
    given = {key: value for key, value in PARTS.items() if key != part}
    with pytest.raises(RefusedError, match=f"missing: {part}"):
        await office.act("anna", "cure.file", sanction=sanction, **given)
    if part == "compensation":
        said = await office.act("anna", "cure.file", sanction=sanction, **given, waiver="letter of 1 March")
        assert said["has_waiver"] is True


async def test_the_words_of_a_cure_are_sealed(office: Office) -> None:
    sanction = await suspended(office)
    await office.act("anna", "cure.file", sanction=sanction, **PARTS)
    account = await office.mailbox(ANN)
    assert office.personal(account.account_id, r.CureFiled) == [PARTS]
    found = office.engine.run(lambda txn: [x.entry.body for x in txn.opened_entries(account.account_id)])
    assert not any(text.encode() in body for text in PARTS.values() for body in found)
    listed = str(await office.ledger.call("cure.list", {}))
    assert not any(text in listed for text in PARTS.values())


async def test_who_filed_it_does_not_answer_and_who_is_told_to_wait_cannot(office: Office) -> None:
    sanction = await suspended(office)
    # On the tenant's behalf, by the reseller itself: then another one answers.
    filed = await office.act("jiang", "cure.file", sanction=sanction, **PARTS)
    for name, said in (("jiang", "another person answers"), ("anna", "has role tenant_admin")):
        with pytest.raises(RefusedError, match=said):
            await office.act(name, "cure.answer", cure=filed["cure_id"], outcome="accepted", reason="x")


async def test_where_the_agreement_has_no_cure_one_objects(office: Office) -> None:
    sanction = await office.suspend("dana", ALICE)
    with pytest.raises(RefusedError, match="knows no cure"):
        await office.act("erin", "cure.file", sanction=sanction, **PARTS)


async def test_a_warning_has_nothing_to_cure(office: Office) -> None:
    await warned(office)
    (warning,) = (await office.show(ANN))["sanctions"]
    with pytest.raises(RefusedError, match="nothing to cure"):
        await office.act("anna", "cure.file", sanction=warning["sanction_id"], **PARTS)


async def test_lists_say_what_waits(office: Office) -> None:
    sanction = await suspended(office)
    filed: dict[str, Any] = await office.act("anna", "cure.file", sanction=sanction, **PARTS)
    (row,) = [x for x in await office.ledger.call("review.list", {}) if x["kind"] == "cure"]
    assert (row["id"], row["due_at"], row["overdue"]) == (filed["cure_id"], filed["due_at"], False)
    await office.act("jiang", "cure.answer", cure=filed["cure_id"], outcome="accepted", reason="seen")
    assert [x for x in await office.ledger.call("review.list", {}) if x["kind"] == "cure"] == []
    assert await office.ledger.call("cure.list", {}) == []
    assert [x["state"] for x in await office.ledger.call("cure.list", {"all": True})] == ["accepted"]
