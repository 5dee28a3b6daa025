"""Who asked an account to stop is written to no more, and everybody else is.  T-TX-3.3.2 tail-d, STANDING 5.7-13."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import RefusedError, UsageError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.reply import Reply
from filterd.model.session import Door, Session
from tests.kit.house import START, letter
from tests.pipeline.people import ALICE, BOB, DAY, Office, open_office

pytestmark = pytest.mark.slow

CAROL = "carol@other.example"
LIST_ID = "<news.cust.example>"
ONE_CLICK = (
    f"List-Id: News {LIST_ID}",
    "List-Unsubscribe: <https://cust.example/out>",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
)
ADVERT = "content.advertising.model"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin")
        await opened.mailbox()
        yield opened


SESSION = Session(
    id="c_1",
    door=Door.SMTP,
    listener="submission",
    peer_address="127.0.0.1",
    is_trusted_peer=True,
    login=ALICE,
    login_source="xclient",
)


async def rcpt(office: Office, recipient: str, session: Session = SESSION) -> Reply | None:
    """Name one recipient, as a door does before DATA."""
    return await office.gate.admit(session, None, parse_forward_path(f"<{recipient}>".encode()))


async def optout(office: Office, recipient: str = BOB, **more: Any) -> Any:
    return await office.act("dana", "optout.file", account=ALICE, recipient=recipient, **more)


async def rows(office: Office, kind: type[Any], login: str = ALICE) -> list[Any]:
    account = await office.mailbox(login)
    return [x for x in office.records(account.account_id) if isinstance(x, kind)]


async def test_only_that_recipient_is_refused_and_for_that_account_alone(office: Office) -> None:
    assert await rcpt(office, BOB) is None
    await optout(office)
    said = await rcpt(office, BOB)
    assert said is not None
    assert (said.code, said.enhanced) == (550, "5.7.1")
    assert "M-STOP" in said.text
    assert await rcpt(office, BOB.upper()) is not None
    assert await rcpt(office, CAROL) is None
    await office.mailbox("eve@cust.example")
    assert await rcpt(office, BOB, replace(SESSION, login="eve@cust.example")) is None
    # Who asked may write, and what they write is nobody's harassment.
    assert await rows(office, r.ViolationRecorded, "eve@cust.example") == []


async def struck(office: Office) -> Any:
    """Have Alice be told of Bob's request, and write to him on the next day all the same."""
    said = await optout(office)
    await rcpt(office, BOB)
    office.clock.advance(DAY)
    await rcpt(office, BOB)
    return said


async def test_the_first_try_only_tells_the_account(office: Office) -> None:
    await optout(office)
    for _ in range(3):
        assert await rcpt(office, BOB) is not None
    (row,) = await rows(office, r.OptOutIgnored)
    assert row.kind == "person"
    assert await rows(office, r.ViolationRecorded) == []
    assert (await office.standing(), office.promised()) == ("good", [])
    # Nor does it tell of another request.
    await optout(office, CAROL)
    office.clock.advance(DAY)
    assert await rcpt(office, CAROL) is not None
    assert await rows(office, r.ViolationRecorded) == []


async def test_trying_it_again_is_mode_b_once_a_day(office: Office) -> None:
    await optout(office)
    assert await rcpt(office, BOB) is not None
    office.clock.advance(DAY)
    for _ in range(3):
        assert await rcpt(office, BOB) is not None
    assert len(await rows(office, r.OptOutIgnored)) == 2
    (violation,) = [v for x in await rows(office, r.ViolationRecorded) for v in x.violations]
    assert (violation.category, violation.mode.value, violation.ground.ids) == (
        "abuse.repeated", "B", ("3.3.2 tail-d",),
    )  # fmt: skip
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["points"]) == ("warned", 0.5)
    assert "warning" in office.promised()
    # Mail to others goes on.
    assert (await office.send(letter("hello"), CAROL, login=ALICE)).reply is None
    office.clock.advance(DAY)
    assert await rcpt(office, BOB) is not None
    assert len(await rows(office, r.OptOutIgnored)) == 3


QUEUE = {"name": "submission", "attribution": "xclient", "direction": "outbound", "after_queue": True}


@pytest.mark.parametrize("kind", ["person", "list"])
async def test_behind_the_queue_it_is_refused_for_good_and_counts_for_nothing(tmp_path: Path, kind: str) -> None:
    """HOUSE rule 6: one mail that a queue tries every day is no act a day, and may be older than the request."""
    async with open_office(tmp_path, listener=[QUEUE]) as office:
        await office.hire("dana", "erin")
        await office.mailbox()
        await optout(office, kind=kind)
        for _ in range(6):
            office.clock.advance(DAY)
            before, after = await rcpt(office, BOB), (await office.send(letter("one"), BOB, login=ALICE)).reply
        for said in (before, after):
            assert said is not None
            assert (said.code, said.enhanced) == (550, "5.7.1")
        assert await rows(office, r.OptOutIgnored) == []
        assert await rows(office, r.StrikeIssued) == []
        assert await office.standing() == "good"


async def test_who_ends_one_that_has_given_a_strike_asks_a_person_about_it(office: Office) -> None:
    said = await struck(office)
    (strike,) = await rows(office, r.StrikeIssued)
    ended = await office.act("dana", "optout.end", optout=said["optout_id"], reason="our error")
    assert ended["reassess"] == [strike.incident_id]
    (task,) = [x for x in await rows(office, r.TaskOpened) if x.what.startswith("reassess")]
    assert task.incident_id == strike.incident_id
    assert any("reassess" in str(x["what"]) for x in await office.act("dana", "review.list"))


async def test_who_ends_one_that_has_given_none_asks_nobody(office: Office) -> None:
    said = await optout(office)
    await rcpt(office, BOB)
    ended = await office.act("dana", "optout.end", optout=said["optout_id"], reason="our error")
    assert ended["reassess"] == []
    assert await rows(office, r.TaskOpened) == []


async def test_what_process_has_written_down_is_not_written_twice(office: Office) -> None:
    said = await optout(office)
    assert await rcpt(office, BOB) is not None
    office.clock.advance(DAY)
    account = await office.mailbox()
    at = office.clock.now().isoformat()
    given = {"account_id": account.account_id, "optout": said["optout_id"], "at": at}
    assert await office.ledger.call("optout.ignored", given) is True
    assert await office.ledger.call("optout.ignored", given) is False
    assert await office.ledger.call("optout.ignored", {**given, "optout": "oo_other"}) is False
    assert len(await rows(office, r.StrikeIssued)) == 1


async def test_nothing_is_written_down_of_who_has_no_credential(office: Office) -> None:
    await optout(office)
    for session in (replace(SESSION, is_trusted_peer=False), replace(SESSION, login_source="sasl")):
        await rcpt(office, BOB, session)
    assert await rows(office, r.OptOutIgnored) == []
    assert await office.standing() == "good"


async def test_a_refusal_stands_while_the_ledger_is_away(office: Office) -> None:
    await optout(office)
    assert await rcpt(office, CAROL) is None
    office.ledger.is_away = True
    said = await rcpt(office, BOB)
    assert said is not None
    assert said.code in (451, 550)
    office.ledger.is_away = False
    assert await rows(office, r.StrikeIssued) == []


async def test_after_the_dot_a_mail_to_nobody_else_is_refused_and_one_to_others_passes(office: Office) -> None:
    await optout(office)
    alone = await office.send(letter("alone"), BOB, login=ALICE)
    assert alone.reply is not None
    assert alone.reply.code == 550
    assert (await office.send(letter("both"), BOB, CAROL, login=ALICE)).reply is None


async def test_a_list_has_three_days_and_bulk_mail_after_them_is_a_complaint(office: Office) -> None:
    said = await optout(office, kind="list")
    assert office.at(said["since"]) == START + timedelta(days=3)
    office.clock.advance(3 * DAY - 60)
    assert await rcpt(office, BOB) is None
    office.clock.advance(60)
    assert await rcpt(office, BOB) is not None
    (row,) = await rows(office, r.OptOutIgnored)
    assert row.kind == "list"
    # A complaint, and no act of its own.
    assert (await rows(office, r.ViolationRecorded), await office.standing()) == ([], "good")


async def test_a_stream_that_goes_to_who_opted_out_is_put_on_notice_once(office: Office) -> None:
    account = await office.mailbox()
    await office.hire("adam", role="tenant_admin", tenant="cust.example")
    await office.act("adam", "register.declare", account=ALICE, list_id=LIST_ID, consent="signup", opt_out_works=True)
    await optout(office, kind="list")
    office.clock.advance(3 * DAY)
    office.script.codes = (ADVERT, "rate.message.bulk")
    for number in range(3):
        await rcpt(office, BOB)
        await office.send(letter(f"news{number}", *ONE_CLICK), CAROL, login=ALICE)
    noticed = [x for x in office.records(account.tenant_id) if isinstance(x, r.StreamNoticed)]
    assert [x.condition for x in noticed] == ["opt_outs"]
    assert noticed[0].repair_by == noticed[0].at + timedelta(days=7)
    assert "stream_on_notice" in office.promised()


async def test_asked_twice_is_asked_once_and_who_ends_it_says_why(office: Office) -> None:
    first, again = await optout(office), await optout(office, BOB.upper())
    assert first["optout_id"] == again["optout_id"]
    (row,) = await office.act("dana", "optout.list", recipient=BOB)
    assert (row["optout_id"], row["login"]) == (first["optout_id"], ALICE)
    assert await office.act("dana", "optout.list", recipient=CAROL) == []
    with pytest.raises(RefusedError, match="--reason"):
        await office.act("dana", "optout.end", optout=first["optout_id"])
    await office.act("dana", "optout.end", optout=first["optout_id"], reason="they wrote that they want it again")
    assert await rcpt(office, BOB) is None
    assert await office.act("dana", "optout.list") == []
    with pytest.raises(UsageError, match="no opt-out"):
        await office.act("dana", "optout.end", optout=first["optout_id"], reason="again")


async def test_a_tenant_s_administrator_files_one_and_cannot_end_it(office: Office) -> None:
    await office.hire("adam", role="tenant_admin", tenant="cust.example")
    said = await office.act("adam", "optout.file", account=ALICE, recipient=BOB)
    with pytest.raises(RefusedError):
        await office.act("adam", "optout.end", optout=said["optout_id"], reason="x")
    await office.mailbox("eve@else.example")
    with pytest.raises(RefusedError, match="may only act"):
        await office.act("adam", "optout.file", account="eve@else.example", recipient=BOB)


@pytest.mark.parametrize("address", ["", "nobody", "a b@c", "<x@y> z", "x@y\r\nz"])
async def test_a_request_names_one_address(office: Office, address: str) -> None:
    with pytest.raises(RefusedError):
        await optout(office, address)


async def test_no_request_keeps_anybody_from_the_desks(office: Office) -> None:
    await optout(office, "appeals@provider.example")
    assert await rcpt(office, "appeals@provider.example") is None
