"""Under which client a mail is counted: one network one id, and none where the address says nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from filterd.config import Config
from filterd.mail.address import parse_forward_path
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.pipeline.client import client_id
from filterd.ports import CountRequest, Intake
from tests.kit.house import House, letter

pytestmark = pytest.mark.slow

KEY = bytes(32)
SESSION = Session(id="c", door=Door.SMTP, listener="submission", peer_address="192.0.2.1")


def of(address: str, **changes: object) -> str | None:
    return client_id(KEY, replace(SESSION, peer_address=address, **changes))


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        # RFC 4291 §2.5.4: the network is the first 64 bits.
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        # Four octets and eight are never taken for one another.
        ("32.1.13.184", "2001:db8::", False),
    ],
)
def test_a_network_is_one_client(one: str, other: str, is_same: bool) -> None:
    assert (of(one) == of(other)) is is_same


def test_an_id_says_nothing_of_the_address() -> None:
    found = of("192.0.2.1")
    assert found is not None
    assert found.startswith("c_")
    assert len(found) == 34
    assert client_id(bytes([1]) * 32, SESSION) != found


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "unix", "", "fe80::1%eth0%"])
def test_what_is_no_client_has_none(address: str) -> None:
    assert of(address) is None


def test_a_peer_that_speaks_for_others_is_not_the_client() -> None:
    assert of("192.0.2.9", is_trusted_peer=True) is None
    assert of("192.0.2.9", is_trusted_peer=True, client_address="192.0.2.9") is None
    assert of("192.0.2.9", is_trusted_peer=True, client_address="192.0.2.1") == of("192.0.2.1")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    listener = {"name": "submission", "attribution": "xclient", "direction": "outbound"}
    config = Config.model_validate({"listener": [listener], "node": {"state_dir": str(tmp_path)}})
    opened = await House(folder=tmp_path, config=config).open()
    yield opened
    await opened.close()


async def asked(house: House, monkeypatch: pytest.MonkeyPatch, recipient: str, **changes: object) -> CountRequest:
    """Say what the gate has counted of one mail."""
    found: list[CountRequest] = []
    count = house.ledger.count

    async def look(request: CountRequest) -> object:
        found.append(request)
        return await count(request)

    monkeypatch.setattr(house.ledger, "count", look)
    login = {"login": "alice@cust.example", "login_source": "xclient", "is_trusted_peer": True}
    session = replace(SESSION, **({"client_address": "192.0.2.5"} | login | changes))
    forward = ForwardPath(path=parse_forward_path(f"<{recipient}>".encode()))
    envelope = Envelope(reverse_path=None, forward_paths=(forward,))
    await house.gate.enforce(Intake(session=session, envelope=envelope, raw=letter()))
    return found[0]


async def test_authenticated_mail_to_the_outside_is_counted_for_its_client(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await asked(house, monkeypatch, "bob@other.example")
    account = await house.ledger.account_for("alice@cust.example", may_create=False)
    assert account is not None
    assert (request.account_id, request.tenant_id) == (account.account_id, account.tenant_id)
    assert request.client_id is not None
    again = await asked(house, monkeypatch, "bob@other.example", client_address="192.0.2.7")
    assert again.client_id not in (None, request.client_id)


async def test_mail_among_colleagues_is_counted_for_no_client(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    request = await asked(house, monkeypatch, "carol@cust.example")
    assert (request.client_id, request.tenant_id is not None) == (None, True)
