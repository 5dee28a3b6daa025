"""Who complains without cause is warned, and muted by two for a while; a case is looked at twice.  STANDING 5.7-13."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.complaints import discounted, unit_of
from filterd.errors import RefusedError
from filterd.log import pseudonym
from filterd.model import records as r
from tests.kit.house import KEYS, START
from tests.pipeline.people import ALICE, Office, open_office
from tests.pipeline.test_complaints import HASHES, clock_job, counted, mail, struck

pytestmark = pytest.mark.slow

WRITER = "zoe.complains@victim.example"
WHO = pseudonym(KEYS.pseudonym, WRITER)
OTHER = "ulf.complains@victim.example"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin")
        await opened.hire("rita", role="reviewer")
        await opened.mailbox()
        yield opened


async def report(office: Office, number: int = 1, *people: str, **more: Any) -> Any:
    """Have a report read in that somebody made about a mail of Alice's."""
    account = await office.mailbox()
    said = list(people or (WHO,))
    found = [mail(account, *said, tx=f"t_{number}")]
    given = {"channel": "arf", "found": found, "complainants": said, **more}
    return await office.act("rita", "complaint.import", **given)


async def close(office: Office, complaint: str, outcome: str, who: str = "dana") -> None:
    await office.act(who, "complaint.close", complaint=complaint, outcome=outcome, reason="looked at it")


async def looked_again(office: Office, complaint: str, outcome: str, who: str = "erin") -> None:
    """Have a case contested, and closed by another person."""
    await office.act("rita", "complaint.contest", complaint=complaint, reason="they say so")
    await close(office, complaint, outcome, who)


async def unfounded(office: Office, number: int = 1, who: str = "dana") -> str:
    """Have a complaint closed as unfounded; say its case."""
    said = await report(office, number)
    await office.act(who, "complaint.close", complaint=said["complaint_id"], outcome="unfounded", reason="an invoice")
    return str(said["complaint_id"])


async def warned(office: Office, complaint: str, by: str = "dana", **more: Any) -> Any:
    given = {"notifier": WHO, "answer_to": WRITER, "reason": "the third one", **more}
    return await office.act(by, "complaint.warn", complaint=complaint, **given)


async def muting(office: Office, complaint: str, by: str = "dana", **more: Any) -> Any:
    given = {"act": "notifier.mute", "subject": "site", "notifier": WHO, "days": 90, "reason": "again", **more}
    return await office.act(by, "proposal.make", complaint=complaint, **given)


async def approved(office: Office, made: Any, by: str = "erin") -> Any:
    return await office.act(by, "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])


async def muted(office: Office) -> str:
    """Have them warned, and muted by two; say the entry."""
    await warned(office, await unfounded(office))
    office.clock.advance(3600)
    made = await muting(office, await unfounded(office, 2))
    done = await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    return str(done["entry_id"])


# --- warned, then muted -----------------------------------------------------------------------------------------------


async def test_a_warning_takes_an_unfounded_complaint_and_is_a_letter(office: Office) -> None:
    said = await report(office)
    with pytest.raises(RefusedError, match="not closed as unfounded"):
        await warned(office, said["complaint_id"])
    await office.act("dana", "complaint.close", complaint=said["complaint_id"], outcome="reviewed", reason="seen")
    with pytest.raises(RefusedError, match="not closed as unfounded"):
        await warned(office, said["complaint_id"])
    await warned(office, await unfounded(office, 2))
    assert "notifier_warned" in office.promised()
    (row,) = office.site(r.NotifierWarned)
    # No event has the address, nor the hash that recipients are known by.
    assert (WRITER in str(row), WHO in str(row)) == (False, False)


async def test_muting_takes_a_warning_and_another_complaint_after_it(office: Office) -> None:
    first = await unfounded(office)
    with pytest.raises(RefusedError, match="warn them first"):
        await muting(office, first)
    await warned(office, first)
    with pytest.raises(RefusedError, match="before they were warned"):
        await muting(office, first)
    office.clock.advance(3600)
    second = await unfounded(office, 2)
    for days in (0, 181):
        with pytest.raises(RefusedError):
            await muting(office, second, days=days)
    assert (await muting(office, second))["act"] == "notifier.mute"


async def test_one_person_alone_mutes_nobody(office: Office) -> None:
    await warned(office, await unfounded(office))
    office.clock.advance(3600)
    made = await muting(office, await unfounded(office, 2))
    with pytest.raises(RefusedError):
        await office.act("dana", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    assert office.site(r.NotifierMuted) == []
    assert (await report(office, 3))["complaint_id"] is not None


async def test_a_muted_person_s_complaints_are_on_record_and_count_for_nothing(office: Office) -> None:
    account = await office.mailbox()
    await muted(office)
    (entry,) = office.site(r.NotifierMuted)
    assert (entry.by, entry.approver, entry.until - entry.at) == ("dana", "erin", 90 * DAY)
    before, cases = counted(office, account), await office.act("dana", "complaint.list")
    said = await report(office, 7)
    assert (said["is_muted"], said["complaint_id"], said["is_counted"]) == (True, None, False)
    # Whichever way they come, and whoever of them the report names.
    assert (await report(office, 8, HASHES[5], channel="plain", reporter=WHO))["is_muted"] is True
    by_hand = await office.act(
        "rita", "complaint.file", kind="spam", found=[mail(account, tx="t_9")], complainant=WHO, answer_to=WRITER
    )
    assert by_hand["is_muted"] is True
    assert (counted(office, account), await office.act("dana", "complaint.list")) == (before, cases)
    assert [x.transaction_id for x in office.site(r.ComplaintMuted)] == ["t_7", "t_8", "t_9"]
    assert "complaint_acknowledged" not in office.promised()


async def test_a_flood_of_a_muted_person_s_is_bounded(office: Office) -> None:
    await muted(office)
    for number in range(30):
        await report(office, 100 + number)
        await report(office, 100)
    assert len(office.site(r.ComplaintMuted)) == 20


async def test_others_are_heard_and_so_is_what_is_about_us(office: Office) -> None:
    await muted(office)
    assert (await report(office, 7, HASHES[3]))["is_counted"] is True
    for kind in ("false_alarm", "service"):
        said = await office.act("rita", "complaint.file", kind=kind, complainant=WHO, account=ALICE)
        assert said["complaint_id"] is not None


async def test_that_a_mail_was_no_spam_is_heard_of_everybody(office: Office) -> None:
    account = await office.mailbox()
    await report(office, 7)
    await warned(office, await unfounded(office, 8))
    office.clock.advance(3600)
    made = await muting(office, await unfounded(office, 9))
    await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    assert (await report(office, 7, is_withdrawn=True))["is_counted"] is True
    assert [x.transaction_id for x in counted(office, account) if x.is_withdrawn] == ["t_7"]


async def test_it_is_listed_ends_by_itself_and_one_person_ends_it(office: Office) -> None:
    entry = await muted(office)
    (row,) = [x for x in await office.act("dana", "register.list") if x["register"] == "notifier.muted"]
    assert (row["entry_id"], row["by"], row["approver"], WHO in str(row)) == (entry, "dana", "erin", False)
    office.clock.advance(90 * 86_400)
    assert (await report(office, 7))["complaint_id"] is not None


async def test_that_a_case_was_contested_is_no_second_complaint(office: Office) -> None:
    only = await unfounded(office)
    await warned(office, only)
    office.clock.advance(3600)
    await looked_again(office, only, "unfounded")
    with pytest.raises(RefusedError, match="before they were warned"):
        await muting(office, only)


async def test_a_warning_that_was_overturned_counts_no_more(office: Office) -> None:
    first = await unfounded(office)
    await warned(office, first)
    office.clock.advance(3600)
    await looked_again(office, first, "acted")
    second = await unfounded(office, 2)
    with pytest.raises(RefusedError, match="warn them first"):
        await muting(office, second)


@pytest.mark.parametrize("which", ["NotifierWarned", "NotifierMuted"])
async def test_a_muting_ends_when_what_it_rests_on_is_overturned(office: Office, which: str) -> None:
    await muted(office)
    (row,) = office.site(getattr(r, which))
    await looked_again(office, row.complaint_id, "acted")
    assert (await report(office, 7))["complaint_id"] is not None


async def test_looked_at_again_with_the_same_end_a_muting_goes_on(office: Office) -> None:
    await muted(office)
    (row,) = office.site(r.NotifierMuted)
    await looked_again(office, row.complaint_id, "unfounded")
    assert (await report(office, 7))["is_muted"] is True


async def test_who_did_not_complain_is_neither_warned_nor_muted(office: Office) -> None:
    said = await report(office, 1, HASHES[3])
    await close(office, said["complaint_id"], "unfounded")
    with pytest.raises(RefusedError, match="no complaint of that address"):
        await warned(office, said["complaint_id"])
    await warned(office, await unfounded(office, 2))
    office.clock.advance(3600)
    said = await report(office, 3, HASHES[3])
    await close(office, said["complaint_id"], "unfounded")
    with pytest.raises(RefusedError, match="no complaint of that address"):
        await muting(office, said["complaint_id"])


async def test_who_joined_a_case_may_be_warned_for_it_and_cases_cannot_be_compared(office: Office) -> None:
    account = await office.mailbox()
    case = (await report(office, 1, HASHES[3]))["complaint_id"]
    assert (await report(office, 2))["complaint_id"] == case
    await close(office, case, "unfounded")
    await warned(office, case)
    await unfounded(office, 4)
    filed, counts = office.site(r.ComplaintFiled), counted(office, account)
    names = {name for row in (*filed, *counts) for name in row.notifiers}
    # Two people, one of them in two cases.
    assert (len(names), WHO in names) == (3, False)
    assert office.site(r.NotifierWarned)[0].notifier not in names


async def test_rows_that_do_not_say_who_complained_warn_nobody(office: Office) -> None:
    """As of older ledgers."""
    old = r.ComplaintFiled(
        at=office.clock.now(), complaint_id="cp_old", kind="spam", channel="arf", account_id=None, transaction_id="",
        due_at=office.clock.now() + DAY, by="rita",
    )  # fmt: skip
    office.engine.run(lambda txn: txn.append(old, account_id=None, tenant_id=None))
    await close(office, "cp_old", "unfounded")
    with pytest.raises(RefusedError, match="older cases"):
        await warned(office, "cp_old")


async def test_the_letter_goes_to_whoever_is_warned(office: Office) -> None:
    case = await unfounded(office)
    with pytest.raises(RefusedError, match="another address"):
        await warned(office, case, answer_to=OTHER)
    with pytest.raises(RefusedError, match="--answer-to"):
        await warned(office, case, answer_to="")
    assert office.site(r.NotifierWarned) == []
    await warned(office, case, answer_to=WRITER.upper())


async def test_who_is_complained_about_neither_warns_nor_mutes(office: Office) -> None:
    await office.hire("cora", account=ALICE)
    await office.hire("theo", tenant="cust.example")
    near = {"cora": "own mailbox", "theo": "is recused"}
    first = await unfounded(office)
    for who, because in near.items():
        with pytest.raises(RefusedError, match=because):
            await warned(office, first, who)
    await warned(office, first)
    office.clock.advance(3600)
    second = await unfounded(office, 2)
    for who, because in near.items():
        with pytest.raises(RefusedError, match=because):
            await muting(office, second, who)
    assert office.site(r.Proposed) == []
    made = await muting(office, second)
    for who, because in near.items():
        with pytest.raises(RefusedError, match=because):
            await approved(office, made, who)
    assert office.site(r.NotifierMuted) == []
    await approved(office, made)


async def test_who_is_muted_silences_nobody_else_of_a_report(office: Office) -> None:
    account = await office.mailbox()
    await muted(office)
    before = len(counted(office, account))
    said = await report(office, 7, HASHES[3], HASHES[4], WHO)
    assert (said["is_counted"], said.get("is_muted")) == (True, None)
    # Whoever is muted is left out, wherever they stand: the one that counts is another.
    said = await report(office, 8, WHO, HASHES[5])
    assert said["is_counted"] is True
    units = [x.unit for x in counted(office, account)[before:]]
    assert units == [unit_of(account.account_id, x) for x in (HASHES[3], HASHES[5])]
    assert (await report(office, 9, WHO))["is_muted"] is True


async def test_who_passes_feedback_reports_on_is_neither_muted_nor_unheard(office: Office) -> None:
    case = (await report(office, 1, HASHES[3], reporter=WHO))["complaint_id"]
    await close(office, case, "unfounded")
    with pytest.raises(RefusedError, match="passes a feedback report on"):
        await warned(office, case)
    await muted(office)
    assert (await report(office, 7, HASHES[4], reporter=WHO))["is_counted"] is True


async def test_a_report_that_leaves_out_who_is_muted_is_not_heard_either(office: Office) -> None:
    account = await office.mailbox()
    await muted(office)
    given = {"channel": "arf", "complainants": []}
    mine, ours = mail(account, WHO, tx="t_7"), mail(account, WHO, HASHES[3], tx="t_8")
    assert (await office.act("rita", "complaint.import", found=[mine], **given))["is_muted"] is True
    # It may be anybody's.
    assert (await office.act("rita", "complaint.import", found=[ours], **given))["is_counted"] is True


async def test_one_person_ends_a_muting(office: Office) -> None:
    entry = await muted(office)
    await office.act("erin", "register.end", entry=entry, reason="they asked")
    assert (await report(office, 7))["complaint_id"] is not None


async def test_the_tenant_s_people_learn_of_none_of_it(office: Office) -> None:
    await muted(office)
    await office.hire("adam", role="tenant_admin", tenant="cust.example")
    assert [x for x in await office.act("adam", "register.list") if x["register"] == "notifier.muted"] == []
    with pytest.raises(RefusedError):
        await office.act("adam", "complaint.warn", notifier=WHO, complaint="cp_1", answer_to=WRITER, reason="x")


async def test_a_tenant_s_administrator_is_not_told_that_somebody_is_muted(office: Office) -> None:
    account = await office.mailbox()
    await muted(office)
    before = counted(office, account)
    await office.hire("adam", role="tenant_admin", tenant="cust.example")

    async def filed(complainant: str, tx: str) -> Any:
        given = {"kind": "spam", "complainant": complainant, "answer_to": WRITER}
        return await office.act("adam", "complaint.file", found=[mail(account, complainant, tx=tx)], **given)

    unheard = await filed(WHO, "t_50")
    assert counted(office, account) == before
    assert [x.transaction_id for x in office.site(r.ComplaintMuted)] == ["t_50"]
    # As somebody else's that was counted before: a case with a number, and a letter.
    assert "complaint_acknowledged" in office.promised()
    await filed(HASHES[3], "t_51")
    again = await filed(HASHES[3], "t_51")
    assert again["is_counted"] is False
    assert {x: y for x, y in unheard.items() if x != "complaint_id"} == {
        x: y for x, y in again.items() if x != "complaint_id"
    }
    assert unheard["complaint_id"] in {x["complaint_id"] for x in await office.act("dana", "complaint.list")}


# --- contested once ---------------------------------------------------------------------------------------------------


async def test_no_action_can_be_contested_once_and_another_person_closes_it(office: Office) -> None:
    said = await report(office)
    case = {"complaint": said["complaint_id"]}
    with pytest.raises(RefusedError, match="without action"):
        await office.act("rita", "complaint.contest", **case, reason="too early")
    await office.act("dana", "complaint.close", **case, outcome="reviewed", reason="seen")
    office.clock.advance(3600)
    again = await office.act("rita", "complaint.contest", **case, reason="she has a second mail")
    assert office.at(again["due_at"]) == START + 25 * HOUR
    (row,) = await office.act("dana", "complaint.list")
    assert (row["complaint_id"], row["outcome"]) == (said["complaint_id"], None)
    assert (await office.act("dana", "complaint.show", **case))["contested"] == "she has a second mail"
    with pytest.raises(RefusedError, match="another person"):
        await office.act("dana", "complaint.close", **case, outcome="reviewed", reason="as before")
    await office.act("erin", "complaint.close", **case, outcome="reviewed", reason="looked again")
    assert await office.act("dana", "complaint.list") == []
    (row,) = await office.act("dana", "complaint.list", all=True)
    assert row["outcome"] == "reviewed"
    with pytest.raises(RefusedError, match="that can be once"):
        await office.act("rita", "complaint.contest", **case, reason="once more")


async def test_what_was_acted_on_is_not_contested(office: Office) -> None:
    said = await report(office)
    await office.act("dana", "complaint.close", complaint=said["complaint_id"], outcome="acted", reason="warned")
    with pytest.raises(RefusedError, match="without action"):
        await office.act("rita", "complaint.contest", complaint=said["complaint_id"], reason="more")


async def test_what_counted_for_nothing_counts_again_if_the_second_person_says_so(office: Office) -> None:
    account = await office.mailbox()
    case = await unfounded(office)

    def off() -> bool:
        history = office.engine.run(lambda txn: txn.history(account.account_id))
        return case in discounted(history, office.clock.now())

    await office.act("rita", "complaint.contest", complaint=case, reason="wrong")
    # Until somebody has looked it stays as it was.
    assert off()
    await office.act("erin", "complaint.close", complaint=case, outcome="reviewed", reason="it was spam")
    assert not off()


async def test_unfounded_twice_stays_unfounded_and_is_one_row(office: Office) -> None:
    account = await office.mailbox()
    case = await unfounded(office)
    await office.act("rita", "complaint.contest", complaint=case, reason="wrong")
    await office.act("erin", "complaint.close", complaint=case, outcome="unfounded", reason="an invoice")
    rows = [x for x in office.records(account.account_id) if isinstance(x, r.ComplaintDiscounted)]
    assert [x.is_back for x in rows] == [False]


async def test_a_contested_case_has_a_clock_and_a_reminder_of_its_own(office: Office) -> None:
    said = await report(office)
    job = clock_job(office)
    assert await struck(office, job, 24 * HOUR) == [("complaint.overdue", True)]
    await office.act("dana", "complaint.close", complaint=said["complaint_id"], outcome="reviewed", reason="late")
    await office.act("rita", "complaint.contest", complaint=said["complaint_id"], reason="wrong")
    assert await struck(office, job, 47 * HOUR) == []
    assert await struck(office, job, 48 * HOUR) == [("complaint.overdue", True)]
    assert len([x for x in await office.act("erin", "review.list") if said["complaint_id"] in str(x["what"])]) == 1
    await office.act("erin", "complaint.close", complaint=said["complaint_id"], outcome="reviewed", reason="seen")
    assert [x for x in await office.act("erin", "review.list") if said["complaint_id"] in str(x["what"])] == []
    # Each reminder was closed by whoever closed the case then.
    ended = office.site(r.TaskClosed)
    assert [x.by for x in ended] == ["dana", "erin"]
    assert len({x.task_id for x in ended}) == 2


async def test_new_reports_do_not_join_a_case_that_is_open_again(office: Office) -> None:
    account = await office.mailbox()
    case = await unfounded(office)
    await office.act("rita", "complaint.contest", complaint=case, reason="wrong")
    second = await report(office, 2, HASHES[3])
    third = await report(office, 3, HASHES[4])
    assert (second["is_new"], second["is_counted"], third["is_counted"]) == (True, True, True)
    assert case != second["complaint_id"] == third["complaint_id"]
    await close(office, case, "unfounded", "erin")
    off = discounted(office.engine.run(lambda txn: txn.history(account.account_id)), office.clock.now())
    assert off == {case}


async def test_neither_do_reports_about_no_mail_of_ours(office: Office) -> None:
    given = {"channel": "arf", "found": [], "complainants": [WHO]}
    case = (await office.act("rita", "complaint.import", **given))["complaint_id"]
    await close(office, case, "reviewed")
    await office.act("rita", "complaint.contest", complaint=case, reason="wrong")
    said = await office.act("rita", "complaint.import", **given)
    assert (said["is_new"], said["complaint_id"] == case) == (True, False)
