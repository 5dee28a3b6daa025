"""Who wrote first: what counts as having written, for whom, and for how long.  STANDING 5.7-14, 5.11."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path as Folder

import pytest

from filterd.config import Config
from filterd.errors import LedgerUnavailable
from filterd.mail.address import parse_forward_path
from filterd.model.session import Door, Session
from tests.kit.house import letter
from tests.pipeline.test_features import CONFIG, Staffed

pytestmark = pytest.mark.slow

ALICE, SALES = "alice@cust.example", "sales@cust.example"
BUYER = "Buyer@shop.example"


@pytest.fixture
async def house(tmp_path: Folder) -> AsyncIterator[Staffed]:
    opened = Staffed(folder=tmp_path, config=Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}}))
    await opened.open()
    for login in (ALICE, "carl@second.example"):
        await opened.send(letter("hello", sender=login), "first@cust.example", login=login)
    opened.token = (await opened.ledger.call("person.add", {"name": "dana", "role": "moderator"}))["token"]
    await opened.act("sanction.impose", account=ALICE, features=["strangers"], hours=2000, clause="4.3.1")
    yield opened
    await opened.close()


async def may_write_to(house: Staffed, address: str) -> bool:
    """Say whether alice may, asked before DATA and after the dot."""
    await house.gate.flush()
    session = Session(id="c", door=Door.SMTP, listener="submission", peer_address="127.0.0.1", login=ALICE)
    before = await house.gate.admit(session, None, parse_forward_path(f"<{address}>".encode()))
    after = (await house.send(letter(f"to {address} at {house.clock.now()}"), address, login=ALICE)).reply
    assert (before is None) is (after is None)
    if before is not None:
        assert (before.code, before.enhanced, before.text.split()[0]) == (550, "5.7.1", "F-STRANGERS")
    return before is None


async def test_who_wrote_to_anybody_of_the_organisation_is_no_stranger_for_thirty_days(house: Staffed) -> None:
    assert not await may_write_to(house, BUYER)
    await house.receive(letter("a question", sender=BUYER), "bounces+1@shop.example", SALES)
    assert await may_write_to(house, BUYER.lower())
    assert await may_write_to(house, "bounces+1@shop.example")
    assert not await may_write_to(house, "other@shop.example")
    house.clock.advance(days=30)
    assert await may_write_to(house, BUYER)
    house.clock.advance(days=1)
    assert not await may_write_to(house, BUYER)


async def test_colleagues_are_no_strangers_and_other_organisations_acquaintances_are(house: Staffed) -> None:
    await house.receive(letter("a question", sender=BUYER), BUYER, "carl@second.example")
    assert not await may_write_to(house, BUYER)
    assert await may_write_to(house, "carol@cust.example")


async def test_what_was_refused_disowned_or_bears_no_sender_has_not_been_written(house: Staffed) -> None:
    house.script.codes = ("virus.signature.match",)
    assert (await house.receive(letter("bad", sender=BUYER), BUYER, ALICE)).reply is not None
    house.script.codes = ("auth.dmarc.fail",)
    await house.receive(letter("forged", sender=BUYER), BUYER, ALICE)
    house.script.codes = ()
    await house.send(letter("bounce", sender=BUYER), ALICE, listener="mx")
    assert not await may_write_to(house, BUYER)


async def test_what_the_accounts_own_mail_says_is_no_letter_from_outside(house: Staffed) -> None:
    await house.send(letter("to myself", sender=BUYER), ALICE, login="bella@cust.example")
    assert not await may_write_to(house, BUYER)


async def test_while_the_ledger_is_away_strangers_mail_comes_in_and_is_remembered_later(house: Staffed) -> None:
    await house.receive(letter("first", sender=BUYER), BUYER, ALICE)
    called = house.ledger.call

    async def away(*_: object) -> None:
        raise LedgerUnavailable("away")

    house.ledger.call = away  # type: ignore[method-assign,assignment]
    await house.gate.flush()
    house.ledger.call = called  # type: ignore[method-assign]
    assert await may_write_to(house, BUYER)
