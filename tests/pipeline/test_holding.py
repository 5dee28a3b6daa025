"""Mail that is held: durable before 250, decided about by people, and never gone in silence.  STANDING 5.7-23, 5.10."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd.clients.sink_wire import SinkScript
from filterd.errors import PortError, RefusedError
from filterd.mail.address import parse_forward_path
from filterd.mail.report import read_report
from filterd.model import records as r
from filterd.model.session import ForwardPath
from filterd.model.verdict import FailMode, Outcome
from tests.kit.house import letter
from tests.pipeline.holding import CONTESTABLE, RUN, HoldingOffice, open_holding
from tests.pipeline.people import ALICE, BOB

pytestmark = pytest.mark.slow

CAROL = "carol@other.example"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[HoldingOffice]:
    async with open_holding(tmp_path) as opened:
        opened.script.codes = CONTESTABLE
        yield opened


async def held(office: HoldingOffice, subject: str = "Offer", *recipients: str) -> str:
    """Have Alice send what is held; say the item."""
    answer = await office.submit(letter(subject), *recipients)
    assert answer.reply is not None
    assert (answer.reply.code, answer.reply.enhanced) == (250, "2.0.0"), answer.reply
    return next(word.strip(",") for word in answer.reply.text.split() if word.startswith("q_"))


async def settled(office: HoldingOffice, item: str) -> str:
    return next(row["state"] for row in await office.items(all=True) if row["item_id"] == item)


# --- taken ------------------------------------------------------------------------------------------------------------


async def test_contestable_mail_is_held_with_its_number_and_nothing_goes_on(office: HoldingOffice) -> None:
    answer = await office.submit(letter("Offer"), BOB)
    assert answer.reply is not None
    assert (answer.reply.code, answer.reply.enhanced, answer.raw) == (250, "2.0.0", b"")
    assert answer.reply.text.startswith("D-HELD Message held for review as q_")
    assert "(case " in answer.reply.text
    assert "until 2026-03-03 09:00" in answer.reply.text
    assert answer.reply.utf8_text is not None
    assert "暂存" in answer.reply.utf8_text
    (row,) = await office.items()
    assert (row["state"], row["login"], row["reason"]) == ("held", ALICE, "category.spam.outbound")
    assert row["digest"] == hashlib.sha256(letter("Offer")).hexdigest()
    assert (row["held_at"], row["due_at"]) == ("2026-03-02T01:00:00Z", "2026-03-02T03:00:00Z")
    assert (await office.show(ALICE))["points"] == 0.5
    assert office.sink.counts["messages"] == 0
    assert [e["item_id"] for e in office.events("held")] == [row["item_id"]]
    assert office.promised() == ["message_held", "warning"]


async def test_the_same_mail_tried_again_is_held_once(office: HoldingOffice) -> None:
    first = await held(office)
    assert [await held(office) for _ in range(3)] == [first] * 3
    assert len(await office.items()) == 1
    await office.act("mona", "quarantine.release", item=first, reason="a newsletter")
    await office.carry()
    assert await held(office) == first
    assert len(office.sink.messages) == 1


async def test_the_same_octets_to_somebody_else_are_another_mail(office: HoldingOffice) -> None:
    assert await held(office, "Offer", BOB) != await held(office, "Offer", CAROL)


async def test_what_was_returned_can_be_sent_again(office: HoldingOffice) -> None:
    first = await held(office)
    await office.act("mona", "quarantine.return", item=first, reason="not this way")
    await office.carry()
    office.clock.advance(days=2)
    assert await office.items() == []
    await held(office)
    assert len(await office.items()) == 1


async def test_where_it_cannot_be_kept_it_waits_with_its_sender(
    office: HoldingOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise PortError("the volume is full", temporary=True)

    monkeypatch.setattr(office.engine.spool, "put", full)
    with pytest.raises(PortError):
        # The door makes 451 of it.
        await office.submit(letter())
    monkeypatch.undo()
    office.ledger.is_away = True
    await_away = await office.submit(letter())
    assert await_away.reply is not None
    assert await_away.reply.code == 451
    office.ledger.is_away = False
    assert await office.items() == []
    await held(office, "Hello")


async def test_a_check_that_fails_can_hold_the_mail(office: HoldingOffice) -> None:
    office.script.codes, office.script.outcome = (), Outcome.TEMPERROR
    office.use_checks(office.script.check(FailMode.QUARANTINE))
    await held(office)
    (row,) = await office.items()
    assert row["reason"] == "check.script.temperror"
    assert (await office.show(ALICE))["points"] == 0


async def test_a_raised_category_holds_and_warns_and_no_more(office: HoldingOffice) -> None:
    terms = office.terms()
    raised = {"raised": True, "disposition": "quarantine"}
    categories = tuple(
        c.model_validate({**c.model_dump(), **raised}) if c.id == "abuse.harass" else c for c in terms.category
    )
    office.swap_terms(terms.model_copy(update={"category": categories}))
    office.script.codes = ("content.harassment.model",)
    answer = await office.submit(letter())
    # Nobody has let it be raised: two people are needed for that.
    assert answer.reply is None
    changed = office.terms()
    site = r.CategoryRaised(
        at=office.clock.now(),
        entry_id="e_1",
        agreement=changed.id,
        category="abuse.harass",
        policy_digest=changed.digest,
        by="mona",
        approver="max",
    )
    office.engine.run(lambda txn: txn.append(site, account_id=None, tenant_id=None))
    await held(office, "second")
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["points"]) == ("warned", 0)


async def test_a_site_with_nobody_on_duty_refuses_instead(tmp_path: Path) -> None:
    async with open_holding(tmp_path, agreement={"preset": "standing_order"}) as office:
        office.script.codes = CONTESTABLE
        answer = await office.submit(letter())
        assert answer.reply is not None
        assert (answer.reply.code, answer.reply.enhanced) == (550, "5.7.1")
        assert await office.items() == []


# --- one campaign -----------------------------------------------------------------------------------------------------


async def code(office: HoldingOffice, number: int) -> int:
    answer = await office.submit(letter(f"copy {number}"), f"p{number}@other.example")
    assert answer.reply is not None
    return answer.reply.code


async def test_of_one_campaign_25_copies_are_held_the_rest_waits_and_is_refused_after_two_hours(
    office: HoldingOffice,
) -> None:
    assert [await code(office, n) for n in range(27)] == [250] * 25 + [451] * 2
    assert len(await office.items()) == 25
    answer = await office.submit(letter("copy 25"), "p25@other.example")
    assert answer.reply is not None
    assert (answer.reply.enhanced, answer.reply.text.split()[0]) == ("4.7.1", "T-COPIES")
    office.clock.advance(hours=2)
    assert await code(office, 25) == 550
    # Only the first of them is told of.
    assert office.promised().count("message_held") == 1


async def test_what_is_decided_about_the_copies_goes_for_the_rest(office: HoldingOffice) -> None:
    first = await held(office, "copy 0", "p0@other.example")
    assert [await code(office, n) for n in range(1, 26)] == [250] * 24 + [451]
    await office.act("mona", "quarantine.release", item=first, reason="their newsletter", copies=True)
    answer = await office.submit(letter("copy 25"), "p25@other.example")
    assert answer.reply is None
    await office.carry()
    assert len(office.sink.messages) == 25


async def test_a_campaign_sent_back_is_refused_from_then_on(office: HoldingOffice) -> None:
    first = await held(office, "copy 0", "p0@other.example")
    await office.act("mona", "quarantine.return", item=first, reason="spam", copies=True)
    assert await code(office, 1) == 550


async def test_a_first_undeclared_run_is_held_with_advice_and_counts_nothing(office: HoldingOffice) -> None:
    office.script.codes = RUN
    people = [f"p{n}@other.example" for n in range(100)]
    await held(office, "sale", *people)
    assert (await office.show(ALICE))["points"] == 0
    assert office.promised() == ["advice", "message_held"]


# --- people decide ----------------------------------------------------------------------------------------------------


async def test_released_mail_reaches_the_next_hop_to_the_octet_below_our_field(office: HoldingOffice) -> None:
    raw = letter("Offer", "X-Auth-User: " + ALICE, "X-Filterd-Id: forged", "Received: from x by y; now")
    to = ForwardPath(
        path=parse_forward_path(b"<Bob@Other.example>"), parameters=(b"NOTIFY=NEVER", b"ORCPT=rfc822;Bob@Other.example")
    )
    parameters = (b"BODY=8BITMIME", b"ENVID=QQ314159", b"RET=HDRS")
    answer = await office.submit(raw, to, listener="header", login=None, parameters=parameters)
    assert answer.reply is not None
    (row,) = await office.items()
    said = await office.act("mona", "quarantine.release", item=row["item_id"], reason="a newsletter")
    assert said["state"] == "released"
    await office.carry()
    (mail,) = office.sink.messages
    assert mail.mail == b"FROM:<alice@cust.example> BODY=8BITMIME ENVID=QQ314159 RET=HDRS"
    assert mail.rcpts == (b"TO:<Bob@Other.example> NOTIFY=NEVER ORCPT=rfc822;Bob@Other.example",)
    field, _, rest = mail.raw.partition(b"\r\n")
    while rest.startswith(b" "):
        more, _, rest = rest.partition(b"\r\n")
        field += more
    assert field.startswith(f"X-Filterd-Id: {row['transaction_id']} fp=".encode())
    assert field.endswith(f"held={row['item_id']}".encode())
    gone = (b"X-Auth-User: " + ALICE.encode() + b"\r\n", b"X-Filterd-Id: forged\r\n")
    bare = raw
    for line in gone:
        bare = bare.replace(line, b"")
    assert rest == bare
    assert await settled(office, row["item_id"]) == "delivered"
    assert await office.carry() == 0


async def test_a_crash_between_the_next_hop_and_the_row_is_the_only_double(office: HoldingOffice) -> None:
    item = await held(office)
    await office.act("mona", "quarantine.release", item=item, reason="a newsletter")
    done = office.engine.done

    async def crash(*_: object) -> bool:
        raise PortError("killed", temporary=True)

    office.engine.done = crash  # type: ignore[method-assign,assignment]
    await office.worker.drain_once(office.clock.now())
    assert len(office.sink.messages) == 1
    assert await settled(office, item) == "released"
    # The same process goes on: what was answered is not sent twice.
    office.engine.done = done  # type: ignore[method-assign]
    office.clock.advance(600)
    await office.carry()
    assert len(office.sink.messages) == 1
    assert await settled(office, item) == "delivered"
    # Another one that knows nothing of it sends it again, by the same name.
    other = await held(office, "Other", CAROL)
    await office.act("mona", "quarantine.release", item=other, reason="a newsletter")
    office.engine.done = crash  # type: ignore[method-assign,assignment]
    await office.worker.drain_once(office.clock.now())
    office.engine.done = done  # type: ignore[method-assign]
    office.anew()
    office.clock.advance(600)
    await office.carry()
    assert len(office.sink.messages) == 3
    assert office.sink.messages[1].raw == office.sink.messages[2].raw
    assert await settled(office, other) == "delivered"


async def test_what_the_next_hop_refuses_comes_back_and_is_a_task(office: HoldingOffice) -> None:
    item = await held(office, "Offer", BOB)
    await office.act("mona", "quarantine.release", item=item, reason="a newsletter")
    office.sink.script = SinkScript(recipients={b"bob@other.example": "550 5.1.1 nobody here"})
    await office.carry()
    assert await settled(office, item) == "returned"
    (mail,) = office.sink.messages
    assert mail.rcpts == (f"TO:<{ALICE}>".encode(),)
    report = read_report(mail.raw)
    assert report is not None
    assert report.failed is not None
    assert report.failed.status == "5.1.1"
    what = [row["what"] for row in await office.ledger.call("task.list", {})]
    assert "released mail: the next hop refuses it" in what


async def test_each_recipient_is_settled_by_itself(office: HoldingOffice) -> None:
    item = await held(office, "Offer", BOB, CAROL, "dave@other.example")
    await office.act("mona", "quarantine.release", item=item, reason="a newsletter")

    full = {b"bob@other.example": "550 5.1.1 no", b"carol@other.example": "452 4.2.2 full"}
    office.sink.script = SinkScript(recipients=full)
    await office.carry()
    assert [m.rcpts for m in office.sink.messages] == [(b"TO:<dave@other.example>",)]
    assert await settled(office, item) == "released"
    office.sink.script = SinkScript()
    office.clock.advance(hours=1)
    await office.carry()
    to = [m.rcpts for m in office.sink.messages]
    assert to == [(b"TO:<dave@other.example>",), (b"TO:<carol@other.example>",), (f"TO:<{ALICE}>".encode(),)]
    report = office.sink.messages[2].raw
    assert b"Final-Recipient: rfc822; bob@other.example" in report
    assert b"Final-Recipient: rfc822; carol@other.example" not in report
    assert await settled(office, item) == "delivered"


async def test_a_next_hop_that_is_away_is_tried_again_and_after_three_days_it_comes_back(office: HoldingOffice) -> None:
    item = await held(office)
    await office.act("mona", "quarantine.release", item=item, reason="a newsletter")
    office.sink.script = SinkScript(recipients={b"bob@other.example": "451 4.3.0 later"})
    for _ in range(3):
        await office.carry()
        office.clock.advance(hours=1)
    assert await settled(office, item) == "released"
    assert any("451" in error for error in office.errors)
    office.clock.advance(days=3)
    await office.carry()
    assert await settled(office, item) == "returned"
    assert b"Status: 4.4.7" in office.sink.messages[-1].raw


async def test_only_who_may_decides_and_nobody_about_their_own(office: HoldingOffice) -> None:
    item = await held(office)
    await office.hire("vera", role="viewer")
    await office.hire("alice herself", role="moderator", account=ALICE)
    await office.hire("a colleague", role="moderator", tenant="cust.example")
    for verb in ("release", "return", "confirm", "read"):
        with pytest.raises(RefusedError, match="role viewer"):
            await office.act("vera", f"quarantine.{verb}", item=item, reason="r")
        with pytest.raises(RefusedError, match="is recused"):
            await office.act("a colleague", f"quarantine.{verb}", item=item, reason="r")
        with pytest.raises(RefusedError, match="named person"):
            await office.ledger.call(f"quarantine.{verb}", {"item": item, "reason": "r"})
    with pytest.raises(RefusedError, match="own mailbox"):
        await office.act("alice herself", "quarantine.release", item=item, reason="r")
    with pytest.raises(RefusedError, match="say why"):
        await office.act("mona", "quarantine.release", item=item)
    assert await settled(office, item) == "held"


async def test_of_two_people_one_decides(office: HoldingOffice) -> None:
    item = await held(office)
    await office.act("mona", "quarantine.release", item=item, reason="a newsletter")
    with pytest.raises(RefusedError, match="released by now"):
        await office.act("max", "quarantine.return", item=item, reason="spam")


async def test_confirming_keeps_the_strike_and_sends_the_mail_back(office: HoldingOffice) -> None:
    item = await held(office)
    assert (await office.show(ALICE))["points"] == 0.5
    said = await office.act("mona", "quarantine.confirm", item=item, reason="spam it is")
    assert said["standing"]["points"] == 1
    await office.carry()
    assert await settled(office, item) == "returned"
    assert office.ledger is not None


async def test_a_release_can_say_that_it_was_no_breach(office: HoldingOffice) -> None:
    item = await held(office)
    await office.act("mona", "quarantine.release", item=item, reason="a receipt", annul=True)
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["points"]) == ("good", 0)


async def test_a_person_reads_it_and_the_ledger_says_so(office: HoldingOffice) -> None:
    item = await held(office)
    said = await office.act("mona", "quarantine.read", item=item, reason="to decide")
    assert base64.b64decode(said["octets"]) == letter("Offer")
    account = await office.mailbox()
    seen = [x for x in office.records(account.account_id) if isinstance(x, r.EvidenceViewed)]
    assert [(x.by, x.has_content) for x in seen] == [("mona", True)]


async def test_one_question_stands_in_the_queue_until_all_is_decided(office: HoldingOffice) -> None:
    items = [await held(office, f"Offer {n}", f"p{n}@other.example") for n in range(3)]

    async def questions() -> list[str]:
        return [row["due_at"] for row in await office.ledger.call("task.list", {}) if "held mail" in row["what"]]

    assert await questions() == ["2026-03-02T03:00:00Z"]
    for item in items[:2]:
        await office.act("mona", "quarantine.return", item=item, reason="spam")
    assert len(await questions()) == 1
    await office.act("mona", "quarantine.release", item=items[2], reason="fine")
    assert await questions() == []
