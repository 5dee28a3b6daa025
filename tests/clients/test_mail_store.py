"""The program behind the mail store: what it is given, and what counts as a yes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from filterd.clients.mail_store import CommandMailStore, WebhookMailStore
from filterd.config.effectors import EffectorsConfig
from filterd.errors import PortError
from tests.clients.test_effectors import _Identity, identity, program
from tests.kit.waiting import PATIENCE_S

__all__ = ["identity"]

pytestmark = pytest.mark.slow

REQUEST = {"effect_id": "e_1", "act": "claw_back", "login": "bob@cust.example", "transaction_id": "t_1"}


@pytest.mark.parametrize("moved", [0, 1, 3])
async def test_it_says_how_many_it_moved(tmp_path: Path, moved: int) -> None:
    command = program(tmp_path, f'cat > {tmp_path}/given; echo \'{{"ok": true, "moved": {moved}}}\'')
    assert await CommandMailStore(command, timeout_s=PATIENCE_S).take_back(REQUEST) == moved
    assert json.loads((tmp_path / "given").read_text()) == REQUEST


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "moved 1",
        '{"moved": 1}',
        '{"ok": false, "moved": 1}',
        '{"ok": true}',
        '{"ok": true, "moved": true}',
        '{"ok": true, "moved": "1"}',
        '{"ok": true, "moved": 0.5}',
        '{"ok": true, "moved": -1}',
    ],
)
async def test_nothing_else_counts(tmp_path: Path, answer: str) -> None:
    with pytest.raises(PortError, match="the mail store"):
        await CommandMailStore(program(tmp_path, f"echo '{answer}'"), timeout_s=PATIENCE_S).take_back(REQUEST)


async def test_it_can_be_posted(identity: tuple[str, type[_Identity]]) -> None:
    url, server = identity
    server.answer = (200, b'{"ok": true, "moved": 1}')
    secret = "whsec_" + "QUFB" * 11
    assert await WebhookMailStore(url, lambda: secret, timeout_s=PATIENCE_S).take_back(REQUEST) == 1
    ((fields, body),) = server.taken
    assert json.loads(body) == REQUEST
    assert fields["webhook-id"] == "e_1"
    assert fields["webhook-signature"].startswith("v1,")


# --- the configuration ------------------------------------------------------------------------------------------------


def test_the_configuration_names_one_way_and_then_there_is_the_effector() -> None:
    assert EffectorsConfig().names == frozenset()
    given = EffectorsConfig.model_validate({"claw_back": {"url": "https://id.example.com/x"}})
    assert given.names == {"claw_back"}
    with pytest.raises(ValueError, match="either command or url"):
        EffectorsConfig.model_validate({"claw_back": {"url": "https://id.example.com/x", "command": ["/bin/true"]}})
    with pytest.raises(ValueError, match="it needs url"):
        EffectorsConfig.model_validate({"claw_back": {"command": ["/bin/true"], "secret_file": "/run/x"}})
    # Saying who got a mail does nothing to anybody.
    assert EffectorsConfig.model_validate({"delivery_log": {"command": ["/bin/true"]}}).names == frozenset()
