"""Mail of local programmes: nobody shows a login there, and the operator says whose a sender address is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from filterd.config import Config
from filterd.doors.milter import LOCAL_LISTENER
from filterd.mail.address import parse_forward_path
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.ports import Answer, Intake
from tests.kit.house import House, letter

ALICE, WEB, BOB = "alice@cust.example", "www-data@mail.example", "bob@other.example"
SENDERS = {WEB: ALICE, "@Cust.Example": "="}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    config = Config.model_validate(
        {
            "listener": [{"name": "submission", "attribution": "xclient", "direction": "outbound"}],
            "milter": {"enabled": True, "local_senders": SENDERS},
            "node": {"state_dir": str(tmp_path)},
        }
    )
    opened = await House(folder=tmp_path, config=config).open()
    yield opened
    await opened.close()


async def by_programme(house: House, sender: str, *, is_trusted: bool = True) -> Answer:
    session = Session(
        id="c_1", door=Door.MILTER, listener=LOCAL_LISTENER, peer_address="127.0.0.1", is_trusted_peer=is_trusted
    )
    back, to = (parse_forward_path(f"<{address}>".encode()) for address in (sender, BOB))
    envelope = Envelope(reverse_path=back, forward_paths=(ForwardPath(path=to),))
    return await house.gate.enforce(Intake(session=session, envelope=envelope, raw=letter()))


async def whose(house: House, sender: str, **more: bool) -> tuple[str, str, bool]:
    await by_programme(house, sender, **more)
    said = house.events("decided")[-1]["principal"]
    return said["basis"], said["strength"], said.get("account_id") is not None


async def test_an_account_answers_for_the_senders_that_are_its_own(house: House) -> None:
    await house.send(letter(), BOB, login=ALICE)
    assert await whose(house, WEB) == ("sender", "medium", True)
    assert await whose(house, ALICE) == ("sender", "medium", True)
    assert await whose(house, "www-data@other.example") == ("none", "none", False)
    assert await whose(house, WEB, is_trusted=False) == ("none", "none", False)


async def test_a_sender_makes_no_account(house: House) -> None:
    assert await whose(house, "new@cust.example") == ("none", "none", False)
    assert await house.logins() == []


async def test_it_gets_no_points_for_what_any_programme_could_have_written(house: House) -> None:
    await house.send(letter(), BOB, login=ALICE)
    house.script.codes = ("virus.signature.match",)
    answer = await by_programme(house, WEB)
    assert answer.reply is not None
    shown = await house.show(ALICE)
    assert (shown["standing"], shown["points"]) == ("good", 0)


@pytest.mark.parametrize("senders", [{"www-data": ALICE}, {"www-data@": ALICE}, {WEB: ""}])
def test_what_is_no_address_is_refused(senders: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="write user@domain"):
        Config.model_validate({"milter": {"local_senders": senders}})
