"""A mail that an account of ours signed is replayed by strangers: found, and nothing follows for the account."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.checks.replay import REPLAYED
from filterd.config import Config
from tests.kit.house import House, letter
from tests.kit.signing_keys import rsa_key, write

pytestmark = pytest.mark.slow

ALICE, BOB = "alice@cust.example", "bob@other.example"


async def test_fault_38_the_original_signer_s_account_is_not_sanctioned(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "listener": [
                {"name": "submission", "attribution": "xclient", "direction": "outbound"},
                {"name": "inbound", "direction": "inbound", "port": 10029},
            ],
            "signing": {
                "key": [
                    {"domain": "cust.example", "selector": "s", "file": str(write(tmp_path / "key.pem", rsa_key()))}
                ]
            },
            "node": {"state_dir": str(tmp_path)},
        }
    )
    house = await House(folder=tmp_path, config=config).open()
    try:
        sent = await house.send(letter("Offer"), BOB, login=ALICE)
        assert sent.raw.startswith(b"DKIM-Signature:")
        before, rows = await house.show(ALICE), await _rows(house)
        house.script.codes = (REPLAYED,)
        for number in range(50):
            answer = await house.send(sent.raw, f"u{number}@cust.example", listener="inbound")
            assert answer.reply is None
        assert await house.show(ALICE) == before
        assert await _rows(house) == rows
        decided = [e for e in house.events("decided") if e.get("direction") == "inbound"]
        assert len(decided) == 50
        assert {(e["principal"]["account_id"], e["decision"]["disposition"]) for e in decided} == {(None, "accept")}
    finally:
        await house.close()


async def _rows(house: House) -> int:
    """Say how many rows the ledger has."""
    return len(await house.engine.entries_after(0))
