"""Somebody outside writes prohibited content in the name of an account of ours: nothing follows for the account."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.config import Config
from tests.kit.house import House, letter

pytestmark = pytest.mark.slow

ALICE, BOB = "alice@cust.example", "bob@cust.example"
CODES = ("virus.signature.match", "content.gambling.model", "auth.dmarc.fail")
LISTENERS = [
    {"name": "submission", "attribution": "xclient", "direction": "outbound"},
    {"name": "open", "attribution": "none", "port": 10028},
    {"name": "inbound", "direction": "inbound", "port": 10029},
]


@pytest.mark.parametrize("listener", ["inbound", "open"])
async def test_fault_40_a_forged_from_has_no_effect_on_the_account(tmp_path: Path, listener: str) -> None:
    config = Config.model_validate({"listener": LISTENERS, "node": {"state_dir": str(tmp_path)}})
    house = await House(folder=tmp_path, config=config).open()
    try:
        assert (await house.send(letter(), "x@else.example", login=ALICE)).reply is None
        before, rows = await house.show(ALICE), len(await house.engine.entries_after(0))
        house.script.codes = CODES
        for number in range(5):
            await house.send(letter(f"Win {number}"), BOB, listener=listener, is_trusted=False)
        assert await house.show(ALICE) == before
        assert len(await house.engine.entries_after(0)) == rows
        forged = house.events("decided")[1:]
        assert [(e["principal"]["account_id"], e["decision"]["incident_id"]) for e in forged] == [(None, None)] * 5
        # The same findings are hers when it is she who sends: what is above could fail.
        assert (await house.send(letter("Win"), "x@else.example", login=ALICE)).reply is not None
        assert await house.show(ALICE) != before
    finally:
        await house.close()
