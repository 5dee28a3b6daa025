"""While a bypass order is in force all mail passes marked and unjudged; then everything is as before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from filterd.clients import bypass_file
from filterd.config import Config
from filterd.mail.address import parse_forward_path
from filterd.model.session import Door, Session
from filterd.pipeline import bypass
from tests.kit.house import House, letter
from tests.pipeline.test_gate import ALICE, BOB, BURST, CONFIG

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bypass_file, "LOOK_EVERY_S", 0.0)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    opened = await House(folder=tmp_path, config=config).open()
    yield opened
    await opened.close()


def order(house: House, minutes: int = 30) -> str:
    given = bypass.order_for(house.clock.now(), timedelta(minutes=minutes), by="dana", reason="a bad rule")
    bypass_file.write_order(house.folder / bypass_file.FILE_NAME, given)
    return given.order_id


async def suspended(house: House) -> None:
    """Three runs, days apart: the account may not send any more."""
    house.script.codes = BURST
    for day in range(3):
        people = [f"p{day}.{number}@other.example" for number in range(300)]
        await house.send(letter(f"run {day}"), *people, login=ALICE)
        await house.notice_received()
        if day < 2:
            house.clock.advance(days=2)
    assert (await house.show(ALICE))["standing"] == "suspended"


async def test_mail_passes_marked_and_no_check_is_asked(house: House) -> None:
    order_id = order(house)
    house.script.codes = ("virus.signature.match",)
    raw = letter()
    answer = await house.send(raw, BOB, login=ALICE)
    assert answer.reply is None
    mark, _, rest = answer.raw.partition(b"\r\n")
    assert mark.decode() == f"X-Filterd-Id: {answer.transaction_id} bypass={order_id}"
    assert rest == raw
    assert house.script.asked == 0
    assert ALICE not in await house.logins()
    assert [e["order_id"] for e in house.events("bypassed")] == [order_id]
    assert house.events("decided") == []


async def test_it_ends_by_itself_at_its_minute(house: House) -> None:
    order(house, minutes=30)
    house.script.codes = ("virus.signature.match",)
    house.clock.advance(30 * 60 - 1)
    assert (await house.send(letter("a"), BOB, login=ALICE)).reply is None
    house.clock.advance(1)
    reply = (await house.send(letter("b"), BOB, login=ALICE)).reply
    assert reply is not None
    assert reply.code == 550


async def test_standing_refuses_nobody_meanwhile_and_everybody_afterwards(house: House) -> None:
    await suspended(house)
    session = Session(
        id="c_1", door=Door.SMTP, listener="submission", peer_address="127.0.0.1", is_trusted_peer=True, login=ALICE
    )
    bob = parse_forward_path(f"<{BOB}>".encode())
    assert await house.gate.admit(session, None, bob) is not None
    order(house)
    assert await house.gate.admit(session, None, bob) is None
    house.script.codes = ()
    assert (await house.send(letter("later"), BOB, login=ALICE)).reply is None
    bypass_file.BypassFile(house.folder / bypass_file.FILE_NAME).end()
    assert await house.gate.admit(session, None, bob) is not None
    assert (await house.show(ALICE))["standing"] == "suspended"


async def test_it_does_not_need_the_ledger(house: House) -> None:
    order(house)
    house.ledger.is_away = True
    assert (await house.send(letter(), BOB, login=ALICE)).reply is None


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"order_id": "b", "since": 3}'])
async def test_a_broken_file_lets_nothing_pass(house: House, text: str) -> None:
    (house.folder / bypass_file.FILE_NAME).write_text(text)
    house.script.codes = ("virus.signature.match",)
    reply = (await house.send(letter(), BOB, login=ALICE)).reply
    assert reply is not None
    assert reply.code == 550


async def test_the_login_field_of_the_listener_does_not_leave_the_house(house: House) -> None:
    order(house)
    answer = await house.send(letter("x", "X-Auth-User: alice@cust.example"), BOB, listener="header")
    assert b"x-auth-user" not in answer.raw.lower()


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"no header at all", b"\x00\xff" * 100, b": x\r\n" * 1000])
async def test_odd_octets_pass_whole(house: House, raw: bytes) -> None:
    order(house)
    answer = await house.send(raw, BOB, login=ALICE)
    assert answer.reply is None
    assert answer.raw.endswith(raw)
