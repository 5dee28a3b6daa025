"""What somebody claims about a customer, and what a person's decision must name.

T-TX-3.1.2, T-TX-3.3.2 (11), T-TX-3.3.2 tail-f, T-TX-3.3.2 tail-h, T-TX-4.3.2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.load import read
from filterd.checks import ALL_CODES
from filterd.errors import ConfigError, RefusedError
from filterd.model import records as r
from filterd.pipeline.claims import FIELDS
from filterd.share import path
from filterd.workers.clocks import ClockWorker
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow

RIGHTS = "3.3.2 tail-f"
HOLDER = "holder@brand.example"
LAW = "Advertising Law, article 9"
WORDS = "Hundreds of false job offers to students of one school."


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin")
        await opened.mailbox()
        yield opened


async def warn(office: Office, clause: str, **more: Any) -> Any:
    wanted = {"account": ALICE, "rung": "warn", "clause": clause, "reason": "seen by dana", **more}
    return await office.act("dana", "sanction.impose", **wanted)


async def imposed(office: Office) -> list[r.SanctionImposed]:
    account = await office.mailbox()
    return [x for x in office.records(account.account_id) if isinstance(x, r.SanctionImposed)]


# --- 3.3.2 (11) and tail-h: what is named besides the clause ----------------------------------------------------------


async def test_a_decision_under_whatever_law_forbids_is_not_saved_without_the_provision(office: Office) -> None:
    before = len(office.records((await office.mailbox()).account_id))
    for given in ({}, {"provision": "  "}, {"ground": WORDS}, {"provision": "x" * 201}):
        with pytest.raises(RefusedError, match="provision"):
            await warn(office, "3.3.2 (11)", **given)
    assert len(office.records((await office.mailbox()).account_id)) == before
    await warn(office, "3.3.2 (11)", provision=LAW)
    (saved,) = await imposed(office)
    assert (saved.clauses, saved.statute, saved.by) == (("3.3.2 (11)",), LAW, "dana")


async def test_a_decision_under_anything_else_is_not_saved_without_its_ground_in_words(office: Office) -> None:
    for given in ({}, {"ground": "bad"}, {"provision": LAW}):
        with pytest.raises(RefusedError, match="--ground"):
            await warn(office, "3.3.2 tail-h", **given)
    assert await imposed(office) == []
    await warn(office, "3.3.2 tail-h", ground=WORDS)
    (saved,) = await imposed(office)
    assert (saved.clauses, saved.has_words) == (("3.3.2 tail-h",), True)
    account = await office.mailbox()
    assert office.personal(account.account_id, r.SanctionImposed) == [{"ground": WORDS}]
    # The words are nowhere in the clear.
    assert WORDS not in str(office.records(account.account_id))
    assert WORDS not in str(office.events("entry"))


async def test_the_number_alone_cites_no_clause_that_needs_more(office: Office) -> None:
    await warn(office, "3.3.2")
    (saved,) = await imposed(office)
    assert saved.clauses
    assert not {"3.3.2 tail-f", "3.3.2 tail-h"} & set(saved.clauses)


@pytest.mark.parametrize("clause", ["3.3.2 (11)", "3.3.2 tail-h", RIGHTS, "3.1.2"])
async def test_no_way_round_by_a_proposal(office: Office, clause: str) -> None:
    await office.suspend("dana")
    tenant = (await office.mailbox()).tenant_id
    for act, subject in (("account.terminate", ALICE), ("tenant.suspend", tenant)):
        with pytest.raises(RefusedError, match=r"--(provision|ground|rests-on)"):
            await office.act("dana", "proposal.make", act=act, subject=subject, clause=clause, reason="r")
    made = await office.act(
        "dana", "proposal.make", act="account.terminate", subject=ALICE, clause="3.3.2 (11)", provision=LAW, reason="r"
    )
    assert made["terms"]["statute"] == LAW


async def test_the_step_up_of_a_task_asks_the_same(office: Office) -> None:
    await office.act("dana", "urgent.open", account=ALICE, what="illegal.terror", source="order", reason="r")
    (task,) = await office.ledger.call("review.list", {})
    step = {"task": task["id"], "decision": "step_up", "rung": "warn", "clause": "3.3.2 (11)", "reason": "r"}
    with pytest.raises(RefusedError, match="--provision"):
        await office.act("dana", "review.decide", **step)
    await office.act("dana", "review.decide", **step, provision=LAW)
    assert [x.statute for x in await imposed(office)] == [LAW]


# --- 3.3.2 tail-f: rights ---------------------------------------------------------------------------------------------


async def file(office: Office, *has: str, **more: Any) -> Any:
    given = {"account": ALICE, "right": "ip", "document": "R-7", "fields": list(has), "holder": HOLDER, **more}
    return await office.act("dana", "rights.file", **given)


async def test_an_incomplete_notice_goes_back_and_no_sanction_can_follow_from_it(office: Office) -> None:
    said = await file(office, "identity", "contact")
    assert said["missing"] == ["authority", "right", "location", "statement"]
    assert said["task_id"] is None
    assert await office.ledger.call("review.list", {}) == []
    (item,) = [x for x, _, _ in office.engine.run(lambda txn: txn.outbox.pending())]
    assert (item.payload["event"], item.payload["recipient"]) == ("rights_incomplete", HOLDER)
    assert item.payload["facts"][0]["missing"] == said["missing"]
    for clause in (RIGHTS, "3.5.4"):
        with pytest.raises(RefusedError, match="is not complete"):
            await warn(office, clause, rests_on=said["rights_id"])
        with pytest.raises(RefusedError, match="rests on the rights holder's notice"):
            await warn(office, clause)
    assert await imposed(office) == []
    # Nobody learns from the account's own file who complained.
    account = await office.mailbox()
    assert HOLDER not in str(office.records(account.account_id)) + str(office.personal(account.account_id, object))


async def test_completed_it_is_a_task_for_a_person_and_still_has_no_effect_by_itself(office: Office) -> None:
    said = await file(office, "identity", "contact")
    part = await office.act("erin", "rights.add", rights=said["rights_id"], fields=["authority", "right", "location"])
    assert part["missing"] == ["statement"]
    with pytest.raises(RefusedError, match="it lacks statement"):
        await warn(office, RIGHTS, rests_on=said["rights_id"])
    whole = await office.act("erin", "rights.add", rights=said["rights_id"], fields=["statement"])
    assert whole["missing"] == []
    (task,) = await office.ledger.call("review.list", {})
    assert (task["id"], task["what"]) == (whole["task_id"], "rights notice")
    assert (await office.show(ALICE))["sanctions"] == []
    with pytest.raises(RefusedError, match="complete already"):
        await office.act("erin", "rights.add", rights=said["rights_id"], fields=["statement"])
    await warn(office, RIGHTS, rests_on=said["rights_id"])
    (saved,) = await imposed(office)
    assert (saved.clauses, saved.rests_on) == ((RIGHTS,), said["rights_id"])


async def test_the_tenants_side_learns_of_it_when_a_person_has_decided(office: Office) -> None:
    said = await file(office, *FIELDS)
    await office.hire("carl", role="tenant_admin", tenant="cust.example")
    assert await office.act("carl", "review.list") == []
    seen = str(await office.act("carl", "account.history", account=ALICE))
    assert said["rights_id"] not in seen
    assert "rights" not in seen


async def test_a_notice_about_somebody_else_carries_nothing(office: Office) -> None:
    await office.mailbox("bob@cust.example")
    other = await office.act(
        "dana", "rights.file", account="bob@cust.example", right="ip", document="R", fields=list(FIELDS)
    )
    with pytest.raises(RefusedError, match="about this account"):
        await warn(office, RIGHTS, rests_on=other["rights_id"])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"right": "fame"}, "right is one of"),
        ({"fields": ["smile"]}, "no part of a notice"),
        ({"holder": ""}, "say whom to ask"),
        ({"document": ""}, "--document"),
    ],
)
async def test_a_wrong_notice_is_said(office: Office, more: dict[str, Any], says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        await file(office, **more)


# --- 3.1.2: verification ----------------------------------------------------------------------------------------------


async def verify(office: Office, outcome: str, matter: str = "licence") -> Any:
    return await office.act(
        "dana", "tenant.verify", tenant="cust.example", matter=matter, outcome=outcome, document="V-1"
    )


async def test_a_verification_that_fails_is_a_task_for_a_person_and_nothing_else(office: Office) -> None:
    assert (await verify(office, "passed", "name"))["task_id"] is None
    said = await verify(office, "failed")
    (task,) = await office.ledger.call("review.list", {})
    assert (task["id"], task["what"]) == (said["task_id"], "verification failed")
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["points"], shown["sanctions"]) == ("good", 0, [])
    tenant = await office.ledger.call("tenant.show", {"tenant": "cust.example"})
    assert (tenant["steps"], tenant["locks"]) == ([], [])


async def test_only_a_person_cites_what_the_customer_says_about_itself(office: Office) -> None:
    with pytest.raises(RefusedError, match="rests on a verification that failed"):
        await warn(office, "3.1.2")
    passed, failed = await verify(office, "passed", "name"), await verify(office, "failed")
    with pytest.raises(RefusedError, match="verification that failed"):
        await warn(office, "3.1.2", rests_on=passed["verification_id"])
    await warn(office, "3.1.2", rests_on=failed["verification_id"])
    (saved,) = await imposed(office)
    assert (saved.clauses, saved.rests_on, saved.by) == (("3.1.2",), failed["verification_id"], "dana")
    await verify(office, "passed")
    with pytest.raises(RefusedError, match="verified again since"):
        await warn(office, "3.1.2", rests_on=failed["verification_id"])


def test_no_category_can_stand_on_what_only_a_person_cites() -> None:
    file = path("policies/agreements/tencent-exmail.toml")
    text = file.read_text(encoding="utf-8")
    terms = read(text.encode(), "a.toml", ALL_CODES)
    assert not any("3.1.2" in c.ground for c in terms.category)
    wrong = text.replace('in_mail = false\nneeds = "verification"', 'needs = "verification"')
    wrong = wrong.replace('ground = ["3.3.2 tail-b", "3.5.2"]', 'ground = ["3.3.2 tail-b", "3.1.2"]')
    assert wrong.count('"3.1.2"]') == 2
    with pytest.raises(ConfigError, match="only a person can cite"):
        read(wrong.encode(), "a.toml", ALL_CODES)


# --- 4.3.2: reports to authorities ------------------------------------------------------------------------------------


async def open_report(office: Office, **more: Any) -> Any:
    given = {"authority": "telecom", "ground": "Anti-Telecom-Fraud Law, article 23", "due": "2026-03-04", **more}
    return await office.act("dana", "report.open", **given)


def waiting(office: Office) -> list[Any]:
    return [item for item, _, _ in office.engine.run(lambda txn: txn.outbox.pending())]


async def test_what_may_be_due_to_an_authority_is_a_list_that_a_person_closes(office: Office) -> None:
    first, second = await open_report(office, account=ALICE), await open_report(office)
    assert [x["report_id"] for x in await office.ledger.call("report.list", {})] == [
        first["report_id"],
        second["report_id"],
    ]
    with pytest.raises(RefusedError, match="--reason"):
        await office.act("dana", "report.not_required", report=first["report_id"])
    await office.act("dana", "report.not_required", report=first["report_id"], reason="below the threshold")
    with pytest.raises(RefusedError, match="settled already"):
        await office.act("erin", "report.not_required", report=first["report_id"], reason="again")
    assert [x["report_id"] for x in await office.ledger.call("report.list", {})] == [second["report_id"]]
    closed = (await office.ledger.call("report.list", {"all": True}))[0]
    assert (closed["outcome"], closed["decided_by"]) == ("not_required", "dana")


async def test_that_one_was_made_takes_two_people_and_a_document(office: Office) -> None:
    report = (await open_report(office))["report_id"]
    make = {"act": "report.made", "subject": "site", "report": report, "reason": "owed"}
    with pytest.raises(RefusedError, match="--document"):
        await office.act("dana", "proposal.make", **make)
    made = await office.act("dana", "proposal.make", **make, document="letter of 3 March")
    with pytest.raises(RefusedError):
        await office.act("dana", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    assert (await office.ledger.call("report.list", {}))[0]["outcome"] is None
    await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    (settled,) = office.site(r.ReportSettled)
    assert (settled.outcome, settled.by, settled.approver, settled.document) == (
        "reported",
        "dana",
        "erin",
        "letter of 3 March",
    )


async def test_no_report_goes_out_by_itself_and_an_overdue_one_alarms_once(office: Office) -> None:
    report = (await open_report(office, account=ALICE))["report_id"]
    worker = ClockWorker(office.engine.submit, lambda: office.rules, lambda: True,
                         steady=lambda: office.clock.now().timestamp())  # fmt: skip
    assert (await worker.run_once(office.clock.now())).struck == ()
    office.clock.advance(days=4)
    struck = (await worker.run_once(office.clock.now())).struck
    assert [(x.clock, x.object_id, x.is_alarm) for x in struck] == [("report.overdue", report, True)]
    assert (await worker.run_once(office.clock.now())).struck == ()
    assert (await office.ledger.call("report.list", {}))[0]["overdue"] is True
    # Opened, overdue, settled by two people: nothing was ever promised to anybody.
    make = {"act": "report.made", "subject": "site", "report": report, "reason": "owed", "document": "D"}
    made = await office.act("dana", "proposal.make", **make)
    await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    assert waiting(office) == []


async def test_the_tenants_people_do_not_learn_of_it(office: Office) -> None:
    report = (await open_report(office, account=ALICE))["report_id"]
    await office.hire("carl", role="tenant_admin", tenant="cust.example")
    with pytest.raises(RefusedError, match="platform's own people"):
        await office.act("carl", "report.list")
    for verb, about in (("account.history", {"account": ALICE}), ("tenant.history", {"tenant": "cust.example"})):
        assert report not in str(await office.act("carl", verb, **about))
    assert report not in str(await office.act("carl", "proposal.list", all=True))
