"""Mail that the mail server holds for us: one item, one delivery, whatever breaks in between.  MAIL-PATH §4d."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from filterd.errors import PortError
from filterd.ports import Answer
from tests.kit.house import letter
from tests.pipeline.holding import CONTESTABLE, MILTER, HoldingOffice, open_holding
from tests.pipeline.people import ALICE, BOB

pytestmark = pytest.mark.slow


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[HoldingOffice]:
    async with open_holding(tmp_path) as opened:
        opened.script.codes = CONTESTABLE
        yield opened


async def offer(office: HoldingOffice, queue_id: str, subject: str = "Offer") -> Answer:
    """Have Postfix ask about a mail; it keeps what it is told to hold."""
    at = office.clock.now()
    answer = await office.submit(letter(subject), BOB, listener=MILTER, queue_id=queue_id)
    if answer.hold is not None:
        office.queue.put(queue_id, ALICE, BOB, at=at, is_held=True)
    return answer


async def only_item(office: HoldingOffice) -> str:
    (row,) = await office.items(all=True)
    item: str = row["item_id"]
    return item


async def decide(office: HoldingOffice, act: str) -> None:
    await office.act("mona", f"quarantine.{act}", item=await only_item(office), reason="looked at it")
    await office.carry()


async def copies(office: HoldingOffice) -> list[str]:
    item = await only_item(office)
    request = office.engine.run(lambda txn: txn.held_request(item))
    assert request is not None
    return [x.queue_id for x in request.copies]


async def test_the_mta_holds_it_and_lets_it_go_and_we_send_nothing(office: HoldingOffice) -> None:
    answer = await offer(office, "4Xyz12")
    item = await only_item(office)
    assert (answer.reply, answer.hold) == (None, f"filterd {item}")
    assert answer.edits is not None
    assert answer.edits.added[0].startswith(b"X-Filterd-Id: ")
    assert await office.states() == ["held"]
    await decide(office, "release")
    assert office.queue.calls == [("release", ("4Xyz12",))]
    assert not office.sink.messages
    assert await office.states() == ["delivered"]
    assert await office.carry() == 0


async def test_deleted_it_is_deleted_there(office: HoldingOffice) -> None:
    await offer(office, "4Xyz12")
    await decide(office, "delete")
    assert office.queue.calls == [("delete", ("4Xyz12",))]
    assert await office.states() == ["deleted"]


async def test_sent_back_it_is_deleted_there_and_its_sender_has_the_report(office: HoldingOffice) -> None:
    await offer(office, "4Xyz12")
    await decide(office, "return")
    assert office.queue.mails_by_id == {}
    (report,) = office.sink.messages
    assert report.rcpts == (f"TO:<{ALICE}>".encode(),)
    assert b"Offer" in report.raw
    assert await office.states() == ["returned"]


async def test_tried_again_it_is_one_item_and_goes_out_once(office: HoldingOffice) -> None:
    # Postfix died before it had the answer: nothing is in its queue under the first name.
    await office.submit(letter("Offer"), BOB, listener=MILTER, queue_id="FIRST1")
    await offer(office, "SECOND2")
    # And it had it, and its client did not hear so.
    await offer(office, "THIRD3")
    assert len(await office.items()) == 1
    assert await copies(office) == ["FIRST1", "SECOND2", "THIRD3"]
    await decide(office, "release")
    assert office.queue.calls == [("release", ("SECOND2",)), ("delete", ("THIRD3",))]
    assert await office.states() == ["delivered"]
    # Tried once more: it has gone out already.
    late = await offer(office, "FOURTH4")
    assert late.hold is None
    assert late.reply is not None
    assert late.reply.code == 250


async def test_a_crash_after_the_mta_was_told_sends_nothing_twice(office: HoldingOffice) -> None:
    await offer(office, "4Xyz12")
    await office.act("mona", "quarantine.release", item=await only_item(office), reason="fine")
    done = office.engine.done

    async def crash(*_: object) -> bool:
        raise PortError("killed", temporary=True)

    office.engine.done = crash  # type: ignore[method-assign,assignment]
    await office.worker.drain_once(office.clock.now())
    office.engine.done = done  # type: ignore[method-assign]
    assert await office.states() == ["released"]
    # Meanwhile it is delivered; the process that comes after knows nothing but what is on record.
    office.queue.mails_by_id.clear()
    office.anew()
    office.clock.advance(600)
    await office.carry()
    assert await office.states() == ["delivered"]
    assert [act for act, _ in office.queue.calls] == ["release"]
    assert not office.sink.messages


async def test_a_crash_before_the_mta_was_told_loses_nothing(office: HoldingOffice) -> None:
    await offer(office, "4Xyz12")
    await office.act("mona", "quarantine.release", item=await only_item(office), reason="fine")
    change = office.queue.change

    async def crash(act: str, queue_ids: object) -> None:
        raise PortError("killed", temporary=True)

    office.queue.change = crash  # type: ignore[method-assign]
    await office.worker.drain_once(office.clock.now())
    office.queue.change = change  # type: ignore[method-assign]
    assert office.queue.held == {"4Xyz12"}
    office.anew()
    office.clock.advance(600)
    await office.carry()
    assert office.queue.held == set()
    assert await office.states() == ["delivered"]


async def test_what_somebody_else_took_out_of_the_queue_is_asked_about(office: HoldingOffice) -> None:
    await offer(office, "4Xyz12")
    office.queue.mails_by_id.clear()
    await decide(office, "release")
    assert await office.states() == ["held"]
    what = [row["what"] for row in await office.ledger.call("task.list", {})]
    assert any("has it no more" in x for x in what)
    # Whoever has looked, and lets it go again, has us send what we kept.
    await decide(office, "release")
    (mail,) = office.sink.messages
    assert mail.raw.endswith(letter("Offer"))
    assert await office.states() == ["delivered"]


async def test_another_mail_under_a_name_used_again_is_left_alone(office: HoldingOffice) -> None:
    await offer(office, "4Xyz12")
    office.queue.put("4Xyz12", "other@cust.example", at=office.clock.now() + timedelta(hours=3), is_held=True)
    office.clock.advance(hours=4)
    await decide(office, "delete")
    assert office.queue.calls == []
    assert office.queue.held == {"4Xyz12"}


async def test_an_mta_that_cannot_be_told_is_told_later(office: HoldingOffice) -> None:
    await offer(office, "4Xyz12")
    office.queue.error = PortError("no sudo", temporary=True)
    await decide(office, "release")
    assert await office.states() == ["released"]
    office.queue.error = None
    office.clock.advance(hours=1)
    await office.carry()
    assert office.queue.calls == [("release", ("4Xyz12",))]
    assert await office.states() == ["delivered"]


async def test_one_who_is_let_go_by_hand_is_not_let_go_again(office: HoldingOffice) -> None:
    await offer(office, "4Xyz12")
    office.queue.put("4Xyz12", ALICE, at=office.clock.now(), is_held=False)
    await decide(office, "release")
    assert office.queue.calls == []
    assert await office.states() == ["delivered"]


async def test_an_account_that_is_erased_leaves_nothing_on_hold(office: HoldingOffice) -> None:
    await offer(office, "4Xyz12")
    account = await office.mailbox()
    office.engine.run(lambda txn: txn.erase_subject(account.account_id))
    await office.carry()
    assert office.queue.calls == [("delete", ("4Xyz12",))]


async def test_a_strangers_mail_is_held_by_us(tmp_path: Path) -> None:
    async with open_holding(tmp_path, inbound={"spam": "quarantine"}) as office:
        await office.mailbox("ann@cust.example")
        office.script.codes = ("content.spam.model",)
        raw = letter("Win", sender="stranger@far.example")
        answer = await office.submit(
            raw, "ann@cust.example", login=None, sender="stranger@far.example", listener=MILTER, queue_id="4Xyz12"
        )
        assert answer.hold is None
        assert answer.reply is not None
        assert answer.reply.code == 250
        assert await copies(office) == []
