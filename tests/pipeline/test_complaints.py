"""Anybody's complaint gets a number and a clock; only our own record says whom it is about.

T-TX-4.1.3, T-TX-3.3.2 tail-a. Who counts as one: test_complaint_counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.checks import complaints
from filterd.errors import RefusedError, UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.principal import Account
from filterd.workers.clocks import ClockWorker
from tests.kit.house import KEYS, START, letter
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WRITER = "zoe.complains@victim.example"
HASHES = [f"{n:032x}" for n in range(1000)]
SPAM = "content.spam.model"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin")
        await opened.hire("rita", role="reviewer")
        await opened.mailbox()
        yield opened


def mail(account: Account, *recipients: str, tx: str = "t_1", streams: tuple[str, ...] = ()) -> dict[str, Any]:
    """What our own record says of a mail."""
    return {
        "transaction_id": tx,
        "account_id": account.account_id,
        "recipients": list(recipients or HASHES[:1]),
        "streams": list(streams),
    }


async def report(office: Office, *found: dict[str, Any], **more: Any) -> Any:
    """Have a reviewer read a feedback report in."""
    wanted: dict[str, Any] = {"channel": "arf", "found": list(found), **more}
    return await office.act("rita", "complaint.import", **wanted)


def counted(office: Office, account: Account) -> list[r.ComplaintCounted]:
    return [x for x in office.records(account.account_id) if isinstance(x, r.ComplaintCounted)]


def clock_job(office: Office) -> ClockWorker:
    return ClockWorker(
        office.engine.submit, lambda: office.rules, lambda: True, steady=lambda: office.clock.now().timestamp()
    )


async def struck(office: Office, job: ClockWorker, after: timedelta) -> list[tuple[str, bool]]:
    office.clock.set(START + after)
    return [(x.clock, x.is_alarm) for x in (await job.run_once(office.clock.now())).struck]


# --- a number and a clock ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "hours"), [("spam", 24), ("harassment", 24), ("other", 24), ("service", 2)])
async def test_anybody_s_complaint_gets_a_case_number_and_a_clock(office: Office, kind: str, hours: int) -> None:
    said = await office.act("rita", "complaint.file", kind=kind)
    assert said["complaint_id"].startswith("cp_")
    assert office.at(said["due_at"]) == START + hours * HOUR
    (row,) = await office.act("dana", "complaint.list")
    assert (row["complaint_id"], row["kind"], row["channel"], row["account_id"], row["overdue"]) == (
        said["complaint_id"], kind, "person", None, False,
    )  # fmt: skip


async def test_a_false_alarm_is_a_complaint_too_and_counts_against_nobody(office: Office) -> None:
    account = await office.mailbox()
    await office.hire("adam", role="tenant_admin", tenant="cust.example")
    said = await office.act("adam", "complaint.file", kind="false_alarm", account=ALICE)
    assert (said["account_id"], said["is_counted"]) == (account.account_id, False)
    assert office.at(said["due_at"]) == START + 2 * HOUR
    assert counted(office, account) == []
    # Of others' accounts, and of who complains of whom, an administrator learns nothing.
    await office.mailbox("eve@else.example")
    with pytest.raises(RefusedError, match="may only act"):
        await office.act("adam", "complaint.file", kind="false_alarm", account="eve@else.example")
    for verb, more in (("complaint.list", {}), ("complaint.show", {"complaint": said["complaint_id"]})):
        with pytest.raises(RefusedError, match="platform"):
            await office.act("adam", verb, **more)
    with pytest.raises(RefusedError):
        await office.act("adam", "complaint.file", kind="spam")


async def test_a_complaint_needs_a_person_and_a_kind(office: Office) -> None:
    with pytest.raises(RefusedError, match="named person"):
        await office.ledger.call("complaint.file", {"kind": "spam"})
    with pytest.raises(RefusedError, match="kind is one of"):
        await office.act("rita", "complaint.file", kind="weather")
    with pytest.raises(RefusedError, match="reviewer"):
        await office.act("rita", "complaint.close", complaint="cp_1", outcome="reviewed", reason="x")


async def test_an_overdue_case_alarms_and_is_on_the_list_until_it_is_closed(office: Office) -> None:
    said = await office.act("rita", "complaint.file", kind="spam")
    job = clock_job(office)
    assert await struck(office, job, 23.9 * HOUR) == []
    assert await struck(office, job, 24 * HOUR) == [("complaint.overdue", True)]
    assert await struck(office, job, 50 * HOUR) == []
    (task,) = [x for x in await office.act("dana", "review.list") if said["complaint_id"] in str(x["what"])]
    assert task["overdue"]
    await office.act("dana", "complaint.close", complaint=said["complaint_id"], outcome="reviewed", reason="looked")
    assert [x for x in await office.act("dana", "review.list") if said["complaint_id"] in str(x["what"])] == []
    assert await office.act("dana", "complaint.list") == []


async def test_what_was_closed_in_time_alarms_nobody_and_is_closed_once(office: Office) -> None:
    said = await office.act("rita", "complaint.file", kind="spam")
    closing = {"complaint": said["complaint_id"], "outcome": "acted", "reason": "looked"}
    await office.act("dana", "complaint.close", **closing)
    assert await struck(office, clock_job(office), 50 * HOUR) == []
    with pytest.raises(UsageError, match="no open complaint"):
        await office.act("dana", "complaint.close", **closing)
    (row,) = await office.act("dana", "complaint.list", all=True)
    assert row["outcome"] == "acted"
    shown = await office.act("dana", "complaint.show", complaint=said["complaint_id"])
    assert (shown["filed_by"], shown["closed_by"], shown["reason"]) == ("rita", "dana", "looked")


async def test_who_complains_is_answered_with_no_word_about_anybody(office: Office) -> None:
    account = await office.mailbox()
    said = await office.act(
        "rita", "complaint.file", kind="spam", found=[mail(account)], complainant=HASHES[0], answer_to=WRITER
    )
    wanted = {"complaint": said["complaint_id"], "outcome": "unfounded", "reason": "no spam", "answer_to": WRITER}
    await office.act("dana", "complaint.close", **wanted)
    letters = {
        item.payload["event"]: item.payload
        for item, _, _ in office.engine.run(lambda txn: txn.outbox.pending())
        if "event" in item.payload
    }
    assert letters["complaint_acknowledged"]["recipient"] == WRITER
    assert letters["complaint_closed"]["facts"][0]["outcome"] == "reviewed"
    assert account.account_id not in str(letters["complaint_closed"])
    assert letters["complaint_closed"]["account_id"] is None


# --- whom it is about -------------------------------------------------------------------------------------------------


async def test_a_report_about_no_mail_of_ours_is_a_case_without_a_subject(office: Office) -> None:
    said = await report(office)
    assert (said["account_id"], said["is_counted"], said["is_new"]) == (None, False, True)
    assert await struck(office, clock_job(office), 24 * HOUR) == [("complaint.overdue", True)]


async def test_nothing_but_our_own_record_says_whom_a_complaint_about_a_mail_is_about(office: Office) -> None:
    account = await office.mailbox()
    with pytest.raises(RefusedError, match="our record of the mail"):
        await office.act("dana", "complaint.file", kind="spam", account=ALICE)
    said = await report(office, {**mail(account), "account_id": "a_nobody"})
    assert (said["account_id"], said["is_counted"]) == (None, False)
    assert counted(office, account) == []


async def test_a_message_id_that_two_accounts_used_names_neither(office: Office) -> None:
    account, other = await office.mailbox(), await office.mailbox("eve@else.example")
    said = await report(office, mail(account), mail(other, tx="t_2"), complainants=[HASHES[0]])
    assert (said["account_id"], said["is_counted"]) == (None, False)
    assert (counted(office, account), counted(office, other)) == ([], [])


# --- one group of their own -------------------------------------------------------------------------------------------


async def complain(office: Office, account: Account, number: int, *, streams: tuple[str, ...] = ()) -> None:
    for n in range(number):
        found = mail(account, HASHES[n], tx=f"t_{n}", streams=streams)
        await report(office, found, complainants=[HASHES[n]])


async def judged(office: Office, *codes: str, subject: str = "s", recipients: int = 1) -> list[Any]:
    """Have Alice write with the check of complaints switched on; say what of it was recorded."""
    office.use_checks(office.script.check(), complaints.make())
    office.script.codes = codes
    to = [f"r{n}@shop{n}.example" for n in range(recipients)]
    await office.send(letter(subject), *to, login=ALICE)
    account = await office.mailbox()
    found = [x for x in office.records(account.account_id) if isinstance(x, r.ViolationRecorded)]
    return [(v.category, v.mode.value) for x in found for v in x.violations]


async def test_enough_complainants_agree_with_a_text_and_never_say_anything_alone(office: Office) -> None:
    account = await office.mailbox()
    # Five hundred recipients, so that five complainants are more than the bound.
    assert await judged(office, subject="first", recipients=500) == []
    await complain(office, account, 4)
    assert await judged(office, SPAM, subject="four") == [("spam.outbound", "B")]
    await complain(office, account, 5)
    assert await judged(office, subject="five") == [("spam.outbound", "B")]
    assert ("spam.outbound", "A") in await judged(office, SPAM, subject="both")


async def test_complaints_about_little_mail_say_nothing(office: Office) -> None:
    account = await office.mailbox()
    assert await judged(office, subject="first", recipients=400) == []
    await complain(office, account, 50)
    assert await judged(office, SPAM, subject="both") == [("spam.outbound", "B")]


# --- nobody learns who ------------------------------------------------------------------------------------------------


async def test_no_row_event_metric_or_log_has_a_complainant(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    from filterd import metrics
    from filterd.log.facts import entry_facts

    account = await office.mailbox()
    facts: list[str] = []
    office.engine.on_entries(lambda rows: facts.extend(str(entry_facts(x)) for x in rows))
    said = await office.act(
        "rita", "complaint.file", kind="spam", found=[mail(account)], complainant=HASHES[0], answer_to=WRITER
    )
    await office.act("rita", "optout.file", account=ALICE, recipient=WRITER)
    await office.send(letter("x"), WRITER, login=ALICE)
    closing = {"complaint": said["complaint_id"], "outcome": "reviewed", "reason": "looked", "answer_to": WRITER}
    await office.act("dana", "complaint.close", **closing)
    rows = [str(office.records(x)) for x in (SITE, account.account_id, account.tenant_id)]
    sealed = str(office.engine.run(lambda txn: [x.personal for x in txn.opened_entries(account.account_id)]))
    events = "".join(x.read_text() for x in (office.folder / "events").rglob("*.jsonl"))
    assert events
    assert facts
    written = capsys.readouterr()
    for place in (*rows, sealed, events, *facts, metrics.exposition(), written.out, written.err):
        text = place if isinstance(place, str) else place.decode()
        assert WRITER not in text
        assert WRITER.partition("@")[0] not in text
    assert KEYS.pseudonym.hex() not in events
    # Two accounts' rows about one complainant cannot be laid side by side.
    assert HASHES[0] not in str(counted(office, account))


async def test_a_ledger_keeps_the_rows_and_reads_them_again(office: Office) -> None:
    account = await office.mailbox()
    await report(office, mail(account), complainants=[HASHES[0]])
    engine: LedgerEngine = office.engine
    history = engine.run(lambda txn: txn.history(account.account_id))
    assert len(history.of(r.ComplaintCounted)) == 1
    assert len(engine.run(lambda txn: txn.history(SITE)).of(r.ComplaintFiled)) == 1


async def test_metrics_count_cases_by_kind_and_channel(office: Office) -> None:
    from filterd.metrics import REGISTRY, observe_record

    def value() -> float:
        return REGISTRY.get_sample_value("filterd_complaints_total", {"kind": "spam", "channel": "arf"}) or 0.0

    before = value()
    await report(office)
    for row in office.site(r.ComplaintFiled):
        observe_record(row)
    assert value() == before + 1


# --- a declared stream ------------------------------------------------------------------------------------------------


async def test_story_s2_newsletter_of_which_too_many_complain(office: Office) -> None:
    """STANDING 7.3, S2 step 3: on notice by the figures, with a week to mend it; the sender sees figures, no names."""
    account = await office.mailbox()
    await office.hire("adam", role="tenant_admin", tenant="cust.example")
    said = await office.act(
        "adam", "register.declare", account=ALICE, list_id="news.cust.example", consent="signup", opt_out_works=True
    )
    key = next(x.key for x in office.records(account.tenant_id) if isinstance(x, r.StreamDeclared))
    fields = (
        "List-Id: News <news.cust.example>",
        "List-Unsubscribe: <https://cust.example/out>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    )

    async def issue(number: int) -> Any:
        office.script.codes = ("content.advertising.model", "rate.message.bulk")
        readers = [f"r{n}@shop{n}.example" for n in range(600)]
        return (await office.send(letter(f"n{number}", *fields), *readers, login=ALICE)).reply

    assert await issue(1) is None
    # By what our own record says a complaint finds the stream.
    assert key in office.events("decided")[0]["message"]["stream_keys"]
    await complain(office, account, 9, streams=(key,))
    office.clock.advance(86_400)
    # It still passes.
    assert await issue(2) is None
    (noticed,) = [x for x in office.records(account.tenant_id) if isinstance(x, r.StreamNoticed)]
    assert (noticed.entry_id, noticed.condition, noticed.complainants, noticed.delivered) == (
        said["entry_id"], "complaints", 9, 1200,
    )  # fmt: skip
    assert noticed.repair_by == office.clock.now() + 7 * DAY
    (told,) = [
        item.payload
        for item, _, _ in office.engine.run(lambda txn: txn.outbox.pending())
        if item.payload.get("event") == "stream_on_notice"
    ]
    assert (told["facts"][0]["complainants"], told["facts"][0]["delivered"]) == (9, 1200)
    assert all(x not in str(told) for x in HASHES[:9])
    # Not mended: undeclared again, which begins with advice.
    office.clock.advance(7 * 86_400)
    assert await issue(3) is not None
    assert "advice" in office.promised()
    assert await office.standing() == "good"
