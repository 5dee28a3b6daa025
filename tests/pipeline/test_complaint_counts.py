"""Who counts as one complainant, and what a report read again, a person of ours or a `not-spam` changes of it.

T-TX-3.3.2 tail-a. FAULTS 68: a flood of forged reports is one complaint, and a case.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd.agreement.complaints import complained
from filterd.model import records as r
from tests.kit.terms import tencent
from tests.pipeline.people import Office, open_office
from tests.pipeline.test_complaints import HASHES, HOUR, clock_job, counted, mail, report, struck

TERMS = tencent()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin")
        await opened.hire("rita", role="reviewer")
        await opened.mailbox()
        yield opened


async def test_ten_thousand_reports_about_one_mail_are_one_complaint_and_one_case(office: Office) -> None:
    """FAULTS 68, in small: nothing of it grows with the number of reports."""
    account = await office.mailbox()
    for n in range(60):
        await report(office, mail(account), complainants=[HASHES[n + 100]], group=f"cg_{n}")
    assert len(counted(office, account)) == 1
    assert len(await office.act("dana", "complaint.list")) == 1
    # No strike, no sanction: somebody looks.
    assert await office.standing() == "good"


async def test_a_recipient_counts_once_whatever_else_the_report_says(office: Office) -> None:
    account = await office.mailbox()
    both = mail(account, HASHES[0], HASHES[1])
    first = await report(office, both, complainants=[HASHES[500], HASHES[0]])
    again = await report(office, mail(account, HASHES[0], tx="t_2"), complainants=[HASHES[0]])
    other = await report(office, both, complainants=[HASHES[1]])
    assert [x["is_counted"] for x in (first, again, other)] == [True, False, True]
    assert {x["complaint_id"] for x in (first, again, other)} == {first["complaint_id"]}
    assert len({x.unit for x in counted(office, account)}) == 2
    shown = await office.act("dana", "complaint.show", complaint=first["complaint_id"])
    assert shown["complainants"] == 2


async def test_who_is_no_recipient_on_our_record_is_one_with_all_other_such(office: Office) -> None:
    account = await office.mailbox()
    both = mail(account, HASHES[0], HASHES[1])
    said = [await report(office, both, complainants=[HASHES[n]]) for n in range(100, 105)]
    assert [x["is_counted"] for x in said] == [True, False, False, False, False]


async def test_one_who_names_nobody_is_one_whatever_number_of_mails_they_name(office: Office) -> None:
    account = await office.mailbox()
    both = [mail(account, HASHES[0], HASHES[1], tx=f"t_{n}") for n in range(5)]
    said = [await report(office, x, complainants=[HASHES[900]], group=f"cg_{n}") for n, x in enumerate(both)]
    # A mail to one person was that one's only where the report names nobody else.
    alone = mail(account, HASHES[0], tx="t_9")
    said.append(await report(office, alone, complainants=[HASHES[900]]))
    assert [x["is_counted"] for x in said] == [True, False, False, False, False, False]
    assert len({x.unit for x in counted(office, account)}) == 1
    assert (await report(office, mail(account, HASHES[0], tx="t_10")))["is_counted"]
    assert len({x.unit for x in counted(office, account)}) == 2


async def test_reports_about_no_mail_of_ours_are_one_case_and_one_alarm_a_day(office: Office) -> None:
    for n in range(30):
        await report(office, source=f"forged{n}")
    assert len(await office.act("dana", "complaint.list")) == 1
    job = clock_job(office)
    assert await struck(office, job, 24 * HOUR) == [("complaint.overdue", True)]
    assert (await report(office))["is_new"]
    assert len(await office.act("dana", "complaint.list")) == 2


async def test_a_message_id_that_two_used_is_about_the_mail_this_complainant_got(office: Office) -> None:
    account, other = await office.mailbox(), await office.mailbox("eve@else.example")
    many = [mail(other, HASHES[n + 10], tx=f"t_{n}") for n in range(60)]
    mine = mail(account, HASHES[0], tx="t_mine")
    said = await report(office, *many, mine, complainants=[HASHES[0]])
    assert (said["account_id"], said["is_counted"]) == (account.account_id, True)
    assert [x.transaction_id for x in counted(office, account)] == ["t_mine"]
    # Who is named by nobody leads to nobody, also where the second account comes late.
    assert (await report(office, *many, mine))["account_id"] is None


async def test_not_spam_takes_back_what_this_recipient_said_and_opens_no_case(office: Office) -> None:
    account = await office.mailbox()
    await report(office, mail(account), complainants=[HASHES[0]])
    other = mail(account, HASHES[0], HASHES[1])
    assert not (await report(office, other, complainants=[HASHES[7]], is_withdrawn=True))["is_counted"]
    assert (await report(office, mail(account), complainants=[HASHES[0]], is_withdrawn=True))["is_counted"]
    assert [x.is_withdrawn for x in counted(office, account)] == [False, True]
    assert len(await office.act("dana", "complaint.list")) == 1


async def test_not_spam_is_about_one_mail_whichever_is_read_first(office: Office) -> None:
    account = await office.mailbox()
    assert not (await report(office, mail(account), complainants=[HASHES[0]], is_withdrawn=True))["is_counted"]
    assert len(await office.act("dana", "complaint.list")) == 0
    first = await report(office, mail(account), complainants=[HASHES[0]])
    # It counts for nothing, and a person looks.
    assert (first["is_counted"], first["is_new"]) == (False, True)
    assert (await report(office, mail(account, tx="t_2"), complainants=[HASHES[0]]))["is_counted"]
    assert not (await report(office, mail(account), complainants=[HASHES[0]], is_withdrawn=True))["is_counted"]
    history = office.engine.run(lambda txn: txn.history(account.account_id))
    assert complained(history, office.clock.now(), 500, TERMS).complainants == 1


async def test_who_complained_long_ago_may_complain_of_a_new_mail(office: Office) -> None:
    account = await office.mailbox()
    assert (await report(office, mail(account), complainants=[HASHES[0]]))["is_counted"]
    office.clock.advance(60 * 86_400)
    assert (await report(office, mail(account, tx="t_2"), complainants=[HASHES[0]]))["is_counted"]


@pytest.mark.parametrize("outcome", ["unfounded", "acted", "reviewed"])
async def test_reading_a_closed_report_again_opens_and_counts_nothing(office: Office, outcome: str) -> None:
    account = await office.mailbox()
    mails = [(mail(account, HASHES[0], HASHES[1], tx=f"t_{n}"), HASHES[n % 2]) for n in range(4)]
    mails.append((mail(account, HASHES[0], HASHES[1], tx="t_9"), HASHES[900]))
    for found, who in mails:
        said = await report(office, found, complainants=[who])
    closing = {"complaint": said["complaint_id"], "outcome": outcome, "reason": "looked"}
    await office.act("dana", "complaint.close", **closing)
    before = len(counted(office, account))
    for found, who in mails:
        again = await report(office, found, complainants=[who])
        assert (again["is_new"], again["is_counted"], again["due_at"]) == (False, False, None)
        assert again["complaint_id"] == said["complaint_id"]
    assert len(counted(office, account)) == before
    assert await office.act("dana", "complaint.list") == []


async def test_who_took_a_complaint_in_is_on_record_and_alone_not_enough(office: Office) -> None:
    account = await office.mailbox()
    least = TERMS.complaints.complainants
    for n in range(least + 3):
        found = [mail(account, HASHES[n], tx=f"t_{n}")]
        said = await office.act("rita", "complaint.file", kind="spam", found=found, complainant=HASHES[n])
    assert {(x.by, x.channel) for x in counted(office, account)} == {("rita", "person")}
    shown = await office.act("dana", "complaint.show", complaint=said["complaint_id"])
    assert shown["taken_in_by"] == ["rita"]

    def number() -> int:
        history = office.engine.run(lambda txn: txn.history(account.account_id))
        return complained(history, office.clock.now(), 500, TERMS).complainants

    assert number() == least - 1
    # What they report themselves is more than her word.
    for n in range(least):
        await report(office, mail(account, HASHES[n], tx=f"t_{n}"), complainants=[HASHES[n]])
    assert number() == least + 3


async def test_an_unfounded_case_counts_no_more_and_a_new_one_does(office: Office) -> None:
    account = await office.mailbox()
    said = await report(office, mail(account), complainants=[HASHES[0]])
    closing = {"complaint": said["complaint_id"], "outcome": "unfounded", "reason": "asked for it"}
    await office.act("dana", "complaint.close", **closing)
    off = [x for x in office.records(account.account_id) if isinstance(x, r.ComplaintDiscounted)]
    assert [x.complaint_id for x in off] == [said["complaint_id"]]
    again = await report(office, mail(account, tx="t_2"), complainants=[HASHES[0]])
    assert (again["is_new"], again["is_counted"]) == (True, True)
