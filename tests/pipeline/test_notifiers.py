"""Who complains without cause is warned, and muted by two for a while; a case is looked at twice.  STANDING 5.7-13."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import RefusedError
from filterd.model import records as r
from tests.kit.house import START
from tests.pipeline.people import ALICE, Office, open_office
from tests.pipeline.test_complaints import HASHES, clock_job, counted, mail, struck

pytestmark = pytest.mark.slow

WHO, WRITER = HASHES[0], "zoe.complains@victim.example"
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
    return await office.act("rita", "complaint.import", channel="arf", found=found, complainants=said, **more)


async def unfounded(office: Office, number: int = 1, who: str = "dana") -> str:
    """Have a complaint closed as unfounded; say its case."""
    said = await report(office, number)
    await office.act(who, "complaint.close", complaint=said["complaint_id"], outcome="unfounded", reason="an invoice")
    return str(said["complaint_id"])


async def warned(office: Office, complaint: str) -> Any:
    given = {"notifier": WHO, "answer_to": WRITER, "reason": "the third one"}
    return await office.act("dana", "complaint.warn", complaint=complaint, **given)


async def muting(office: Office, complaint: str, **more: Any) -> Any:
    given = {"act": "notifier.mute", "subject": "site", "notifier": WHO, "days": 90, "reason": "again", **more}
    return await office.act("dana", "proposal.make", complaint=complaint, **given)


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
    assert (await report(office, 8, HASHES[5], reporter=WHO))["is_muted"] is True
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
    from filterd.agreement.complaints import discounted

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
