"""Held mail never goes in silence: the missed decision, the return after a day, the digest, the thirty days.

STANDING 5.7-16, 5.7-23, 5.11; CLAUSES §6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from filterd.clients.sink_wire import SinkScript
from filterd.errors import RefusedError
from filterd.mail.address import parse_forward_path
from filterd.mail.parse import parse
from filterd.mail.report import read_report
from filterd.model import records as r
from filterd.model.session import ForwardPath
from filterd.model.verdict import AuthResult
from filterd.pipeline import held, holding
from filterd.pipeline.notice_requests import read_request
from filterd.pipeline.notice_table import DIGEST, Audience
from tests.kit.house import letter
from tests.pipeline.holding import CONTESTABLE, HoldingOffice, open_holding
from tests.pipeline.people import ALICE, BOB

pytestmark = pytest.mark.slow

SPAM = ("content.spam.model",)
ANN, AMY = "ann@cust.example", "amy@cust.example"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[HoldingOffice]:
    async with open_holding(tmp_path, inbound={"spam": "quarantine", "virus": "quarantine"}) as opened:
        opened.script.codes = CONTESTABLE
        yield opened


async def hold(office: HoldingOffice, subject: str = "Offer", *to: str | ForwardPath, **more: object) -> None:
    answer = await office.submit(letter(subject), *to, **more)  # type: ignore[arg-type]
    assert answer.reply is not None
    assert answer.reply.code == 250, answer.reply


async def receive(office: HoldingOffice, subject: str, *to: str, listener: str = "inbound") -> int | None:
    """Have a stranger write; say the code of our own answer."""
    office.script.codes = SPAM
    raw = letter(subject, sender="stranger@far.example")
    answer = await office.submit(raw, *to, login=None, listener=listener, sender="stranger@far.example")
    return answer.reply.code if answer.reply is not None else None


# --- outbound ---------------------------------------------------------------------------------------------------------


async def test_a_decision_that_nobody_takes_in_two_hours_alarms_once(office: HoldingOffice) -> None:
    await hold(office)
    await hold(office, "Second")
    assert await office.strike(hours=1) == []
    assert await office.strike(hours=1) == ["hold.decision"]
    assert await office.strike(hours=1) == []
    assert all(row["overdue"] for row in await office.items())


async def test_maintenance_does_not_count_against_whoever_decides_and_delays_no_return(office: HoldingOffice) -> None:
    await hold(office)
    await office.hire("ops", role="admin")
    now = office.clock.now()
    window = {"since": now.isoformat(), "until": now.replace(hour=13).isoformat(), "emergency": True, "reason": "disk"}
    await office.act("ops", "maintenance.announce", **window)
    assert "hold.decision" not in await office.strike(hours=13)
    assert "hold.decision" in await office.strike(hours=1)
    assert "hold.returned" in await office.strike(hours=10)


async def test_case_outbound_hold_returns_24h(office: HoldingOffice) -> None:
    to = ForwardPath(path=parse_forward_path(f"<{BOB}>".encode()), parameters=(b"ORCPT=rfc822;Bob+2Bx@other.example",))
    await hold(office, "Offer", to, "carol@other.example", parameters=(b"ENVID=A+2BB", b"BODY=8BITMIME"))
    assert "hold.returned" not in await office.strike(hours=23)
    assert "hold.returned" in await office.strike(hours=1)
    assert await office.states() == ["returning"]
    await office.carry()
    assert await office.states() == ["returned"]
    (mail,) = office.sink.messages
    # To the authenticated sender, from nobody.
    assert (mail.mail.split()[0], mail.rcpts) == (b"FROM:<>", (f"TO:<{ALICE}>".encode(),))
    report = read_report(mail.raw)
    assert report is not None
    assert report.envelope_id == "A+B"
    assert [(x.action, x.status) for x in report.outcomes] == [("failed", "5.7.1")] * 2
    assert b"Final-Recipient: rfc822; bob@other.example" in mail.raw
    assert b"Original-Recipient: rfc822;Bob+x@other.example" in mail.raw
    message = parse(mail.raw)
    assert message.first("auto-submitted") == "auto-replied"
    assert (message.first("content-type") or "").startswith("multipart/report; report-type=delivery-status")
    # The mail itself is attached to the octet, and both languages say what happened.
    assert letter("Offer").removesuffix(b"\r\n") in mail.raw
    assert "was not delivered and comes back to you" in mail.raw.decode()
    assert "退回给您" in mail.raw.decode()
    assert await office.strike(days=3) == []


async def test_copies_of_one_campaign_come_back_as_one_report(office: HoldingOffice) -> None:
    for n in range(5):
        await hold(office, f"copy {n}", f"p{n}@other.example")
        office.clock.advance(600)
    await office.strike(hours=24)
    await office.carry()
    (mail,) = office.sink.messages
    assert [f"rfc822; p{n}@other.example".encode() in mail.raw for n in range(5)] == [True] * 5
    assert mail.raw.count(b"Message-ID: <copy") == 1
    assert await office.states() == ["returned"] * 5
    account = await office.mailbox()
    moved = [x.state for x in office.records(account.account_id) if isinstance(x, r.HeldMailMoved)]
    assert moved == ["returning"] * 5 + ["returned"] * 5


async def test_a_report_is_tried_again_under_the_same_name_and_counted_once(office: HoldingOffice) -> None:
    await hold(office)
    office.sink.script = SinkScript(recipients={ALICE.encode(): "451 4.2.1 later"})
    await office.strike(hours=24)
    await office.carry()
    assert await office.states() == ["returning"]
    office.sink.script = SinkScript()
    office.clock.advance(hours=1)
    await office.carry()
    assert await office.states() == ["returned"]
    assert len(office.sink.messages) == 1


async def test_a_sender_who_cannot_be_reached_is_told_otherwise_and_a_person_is_asked(office: HoldingOffice) -> None:
    await hold(office)
    office.sink.script = SinkScript(recipients={ALICE.encode(): "550 5.1.1 no mailbox"})
    await office.strike(hours=24)
    await office.carry()
    assert await office.states() == ["returned"]
    assert office.sink.counts["messages"] == 0
    assert "message_returned" in office.promised()
    what = [row["what"] for row in await office.ledger.call("task.list", {})]
    assert "held mail: its sender cannot be reached" in what


async def test_a_mailbox_too_small_for_it_gets_the_header(office: HoldingOffice) -> None:
    await hold(office)
    office.sink.script = SinkScript(replies={"dot": "552 5.3.4 too big"})
    sent: list[bytes] = []
    keep = office.relay.lease

    async def lease() -> object:
        session = await keep()
        data = session.data

        async def once(raw: bytes) -> object:
            sent.append(raw)
            if len(sent) > 1:
                office.sink.script = SinkScript()
            return await data(raw)

        session.data = once  # type: ignore[method-assign,assignment]
        return session

    office.relay.lease = lease  # type: ignore[method-assign,assignment]
    await office.strike(hours=24)
    await office.carry()
    assert b"message/rfc822" in sent[0]
    assert b"text/rfc822-headers" in sent[1]
    assert b"see you on Tuesday" not in sent[1]
    assert await office.states() == ["returned"]


async def test_what_harms_whoever_opens_it_comes_back_as_its_header(office: HoldingOffice) -> None:
    office.script.codes = ("virus.signature.match",)
    await hold(office, "Offer", listener="queue")
    await office.strike(hours=24)
    await office.carry()
    (mail,) = office.sink.messages
    assert b"text/rfc822-headers" in mail.raw
    assert b"see you on Tuesday" not in mail.raw


async def test_three_days_without_the_job_leave_nothing_out(office: HoldingOffice) -> None:
    await hold(office)
    assert set(await office.strike(days=3)) == {"hold.decision", "hold.returned"}
    await office.carry()
    assert await office.states() == ["returned"]


async def test_while_the_clock_has_jumped_nothing_goes_back(office: HoldingOffice) -> None:
    await hold(office)
    office.clocks._told._steady = lambda: 0.0
    assert await office.strike(hours=24) == []
    assert await office.states() == ["held"]


# --- inbound ----------------------------------------------------------------------------------------------------------


async def test_a_strangers_mail_is_held_for_each_recipient_apart(office: HoldingOffice) -> None:
    await office.mailbox(ANN)
    await office.mailbox(AMY)
    assert await receive(office, "Win", ANN, AMY) == 250
    rows = await office.items()
    assert [(row["login"], row["direction"], row["reason"]) for row in rows] == [
        (ANN, "inbound", "inbound.spam"),
        (AMY, "inbound", "inbound.spam"),
    ] or [row["login"] for row in rows] == [AMY, ANN]
    shown = {
        row["login"]: (await office.act("mona", "quarantine.show", item=row["item_id"], reason="asked"))["envelope"]
        for row in rows
    }
    assert shown[ANN]["forward_paths"] == [ANN]
    assert shown[AMY]["forward_paths"] == [AMY]
    # Tried again it is held once.
    assert await receive(office, "Win", ANN, AMY) == 250
    assert len(await office.items()) == 2


async def test_strangers_cannot_fill_the_vault(office: HoldingOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MOST_INBOUND", 3)
    await office.mailbox(ANN)
    await office.mailbox(AMY)
    assert [await receive(office, f"Win {n}", ANN) for n in range(5)] == [250, 250, 250, None, None]
    assert len(await office.items()) == 3
    # Beyond it the default is done, also where one of several recipients has its fill.
    assert await receive(office, "Win more", ANN, AMY) is None
    # All copies of one mail together take no more than so much.
    await office.mailbox("bea@cust.example")
    monkeypatch.setattr(holding, "MOST_BYTES", len(letter("Win one", sender="stranger@far.example")))
    assert await receive(office, "Win one", AMY) == 250
    assert await receive(office, "Win two", AMY, "bea@cust.example") is None


async def test_where_a_recipient_is_unknown_the_default_is_done(office: HoldingOffice) -> None:
    await office.mailbox(ANN)
    assert await receive(office, "Win", ANN, "nobody@cust.example") is None
    assert await office.items() == []
    office.script.codes = ("virus.signature.match",)
    raw = letter("Bad", sender="stranger@far.example")
    answer = await office.submit(raw, "nobody@cust.example", login=None, listener="inbound", sender=None)
    assert answer.reply is not None
    assert answer.reply.code == 550


async def test_behind_the_queue_a_strangers_mail_is_held_and_not_bounced(tmp_path: Path) -> None:
    async with open_holding(tmp_path, inbound={"spam": "reject"}) as office:
        await office.mailbox(ANN)
        assert await receive(office, "Win", ANN, listener="inbound-queue") == 250
        assert [row["direction"] for row in await office.items()] == ["inbound"]
        assert await receive(office, "Win", "nobody@cust.example", listener="inbound-queue") == 451


async def test_the_digest_lists_what_stands_once_a_day_and_only_ones_own(office: HoldingOffice) -> None:
    await office.mailbox(ANN)
    await office.mailbox(AMY)
    await receive(office, "One", ANN)
    await receive(office, "Two", ANN)
    await receive(office, "Three", AMY)
    await office.strike(hours=1)
    await office.strike(hours=1)
    digests = [
        item.payload for item, _, _ in await office.engine.pending() if item.payload.get("event") == "quarantine_digest"
    ]
    account_id = (await office.mailbox(ANN)).account_id
    ann = next(x for x in digests if x["account_id"] == account_id)
    mine = {row["item_id"] for row in await office.items() if row["login"] == ANN}
    assert len(digests) == 2
    assert {x["held_id"] for x in ann["facts"]} == mine
    assert len(mine) == 2
    assert ann["audiences"] == ["account"]
    assert {x["remove_on"] for x in ann["facts"]} == {"2026-04-01"}
    due = {due for item, due, _ in await office.engine.pending() if item.payload.get("event") == "quarantine_digest"}
    assert due == {datetime(2026, 3, 3, tzinfo=UTC)}


async def test_it_is_told_for_the_last_time_three_days_before_and_removed_with_a_row(office: HoldingOffice) -> None:
    await office.mailbox(ANN)
    await receive(office, "One", ANN)

    async def told_on(days: float) -> bool:
        await office.strike(days=days)
        for item, _, _ in await office.engine.pending():
            if item.payload.get("event") == "quarantine_digest":
                await office.engine.done(item.item_id, lambda _: None)
                return True
        return False

    assert [await told_on(days) for days in (1, 1, 25, 1)] == [True, True, True, False]
    assert await office.states() == ["held"]
    assert await office.strike(days=2) == []
    # The thirtieth day is kept to its end.
    assert await office.strike(days=1) == ["hold.removed"]
    assert await office.states() == ["deleted"]
    account = await office.mailbox(ANN)
    (moved,) = [x for x in office.records(account.account_id) if isinstance(x, r.HeldMailMoved)]
    assert (moved.state, moved.by) == ("deleted", "system:clock")


async def test_under_a_legal_hold_nothing_is_removed(office: HoldingOffice) -> None:
    await office.mailbox(ANN)
    await receive(office, "One", ANN)
    await office.act("mona", "evidence.hold", case=ANN, reason="court")
    assert await office.strike(days=40) == []
    assert await office.states() == ["held"]


async def test_the_digest_says_who_wrote_and_whether_that_is_known(office: HoldingOffice) -> None:
    await office.mailbox(ANN)
    bidi = chr(0x202E) + "moc.knab@ssob" + chr(0x200B)
    forged = f'From: "Boss, boss@bank.example {bidi} https://bank.example/login" <x@far.example>'
    for number, (field, result) in enumerate(((forged, "fail"), ("From: Eve <eve@far.example>", "pass"))):
        office.script.codes, office.script.results = SPAM, (AuthResult(method="dmarc", result=result),)
        raw = letter(f"Secret {number}").replace(b"From: <alice@cust.example>", field.encode())
        assert await office.submit(raw, ANN, login=None, listener="inbound", sender="eve@far.example")
    await office.strike(hours=1)
    digest = next(item for item, _, _ in await office.engine.pending() if item.payload.get("event") == DIGEST)
    # Who wrote is sealed with the mail, and in no promise.
    assert "far.example" not in str(digest.payload)
    request = read_request(digest)
    (letter_,) = office.engine.run(lambda txn: office.desk.letters(office.desk.gather(txn, request), txn.now))
    lines = letter_.notice.text.splitlines()
    assert letter_.recipient == ANN
    shown = "Boss boss bank example moc knab ssob https bank example logi…"
    (odd,) = [x for x in lines if "Boss" in x and "from" in x]
    assert f"from {shown} <x@far.example> (not verified); removed on" in odd
    (known,) = [x for x in lines if "Eve" in x and "from" in x]
    assert "from Eve <eve@far.example>; removed on" in known
    assert any("发件人 Eve <eve@far.example>；" in x for x in lines)
    assert any("<x@far.example>（未验证）；" in x for x in lines)
    assert "Secret" not in letter_.notice.text
    assert "looks like bulk mail nobody asked for" in odd


async def test_nobody_but_the_recipient_reads_who_wrote(office: HoldingOffice) -> None:
    """Where the mailbox cannot be reached, others are told that something is held, and not by whom it was sent."""
    await office.mailbox(ANN)
    await receive(office, "One", ANN)
    await office.strike(hours=1)
    digest = next(item for item, _, _ in await office.engine.pending() if item.payload.get("event") == DIGEST)
    request = replace(read_request(digest), audiences=(Audience.TENANT, Audience.ACCOUNT))
    facts = office.engine.run(lambda txn: office.desk.gather(txn, request))
    copies = office.desk.copies(facts, office.clock.now(), request.audiences)
    assert "stranger@far.example" in copies[Audience.ACCOUNT].text
    assert "stranger@far.example" not in copies[Audience.TENANT].text


async def test_released_to_the_recipient_it_tells_what_was_found_and_is_not_marked_as_spam(
    office: HoldingOffice,
) -> None:
    await office.mailbox(ANN)
    office.script.results = (AuthResult(method="spf", result="fail"), AuthResult(method="dmarc", result="fail"))
    forged = b"Authentication-Results: filterd.invalid; dmarc=pass\r\nX-Spam-Flag: NO\r\n"
    office.script.codes = SPAM
    raw = forged + letter("One", sender="stranger@far.example")
    assert await office.submit(raw, ANN, login=None, listener="inbound", sender="stranger@far.example")
    (row,) = await office.items()
    await office.act("mona", "quarantine.release", item=row["item_id"], reason="asked for")
    await office.carry()
    (mail,) = office.sink.messages
    assert mail.raw.startswith(b"Authentication-Results: filterd.invalid; spf=fail; dmarc=fail\r\nX-Filterd-Id: ")
    assert mail.raw.endswith(letter("One", sender="stranger@far.example"))
    assert mail.raw.count(b"Authentication-Results:") == 1
    # A person has said that it is none.
    assert b"\r\nX-Spam-Status: No, " in mail.raw
    assert b"X-Spam-Flag" not in mail.raw


async def test_a_strangers_mail_released_is_not_sent_back(office: HoldingOffice) -> None:
    await office.mailbox(ANN)
    await receive(office, "One", ANN)
    (row,) = await office.items()
    with pytest.raises(RefusedError, match="not sent back"):
        await office.act("mona", "quarantine.return", item=row["item_id"], reason="spam")
    await office.act("mona", "quarantine.release", item=row["item_id"], reason="asked for")
    await office.carry()
    (mail,) = office.sink.messages
    assert mail.rcpts == (f"TO:<{ANN}>".encode(),)


async def test_a_mailbox_that_refuses_what_was_released_leaves_it_held(office: HoldingOffice) -> None:
    await office.mailbox(ANN)
    await receive(office, "One", ANN)
    (row,) = await office.items()
    await office.act("mona", "quarantine.release", item=row["item_id"], reason="asked for")
    office.sink.script = SinkScript(recipients={ANN.encode(): "550 5.2.1 disabled"})
    await office.carry()
    assert await office.states() == ["held"]
    assert office.sink.counts["messages"] == 0
