"""Signing in the mail path: for whom, with which key, and that every door hands on what was signed."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.app.policy import read_policy
from filterd.checks.dkim.sign import SigningKey
from filterd.clients.signing_keys import load_private_key
from filterd.config import Config
from filterd.errors import ModelError
from filterd.mail.parse import parse
from filterd.model.verdict import AuthResult
from filterd.pipeline.signing import Signer
from tests.checks.dkim_oracle import ours
from tests.checks.test_arc import ours as arc_of
from tests.kit.house import START, House, letter
from tests.kit.signing_keys import ed25519_key, record, rsa_key, write
from tests.pipeline.holding import CONTESTABLE, open_holding

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RSA, ED = rsa_key(), ed25519_key()
ALICE, BOB = "alice@cust.example", "bob@other.example"


def key(domain: str, selector: str = "s", private: Any = RSA, since: date | None = None) -> SigningKey:
    return SigningKey(domain=domain, selector=selector, private=private, since=since)


def chosen(keys: list[SigningKey], sender: str, own: tuple[str, ...], at: datetime = NOW) -> list[str]:
    return [x.selector for x in Signer(keys).keys_for(parse(letter(sender=sender)), own, at)]


# --- which key --------------------------------------------------------------------------------------------------------


def test_only_the_tenant_s_own_name_is_signed() -> None:
    """FAULTS 39: another tenant's From gets no signature, and neither does mail nobody answers for."""
    keys = [key("cust.example"), key("victim.example")]
    assert chosen(keys, "a@cust.example", ("cust.example",)) == ["s"]
    assert chosen(keys, "a@victim.example", ("cust.example",)) == []
    assert chosen(keys, "a@cust.example", ()) == []


def test_the_nearest_name_above_signs_when_it_is_the_tenant_s_too() -> None:
    keys = [key("cust.example", "parent"), key("news.cust.example", "child")]
    assert chosen(keys, "a@news.cust.example", ("cust.example",)) == ["child"]
    assert chosen(keys, "a@shop.cust.example", ("cust.example",)) == ["parent"]
    # A customer below a provider's domain gets no signature of the provider's.
    assert chosen(keys, "a@shop.cust.example", ("shop.cust.example",)) == []


def test_the_newest_key_that_has_begun_signs_and_one_of_each_kind() -> None:
    keys = [
        key("cust.example", "old"),
        key("cust.example", "new", since=date(2026, 11, 22)),
        key("cust.example", "next", since=date(2026, 11, 23)),
        key("cust.example", "ed", private=ED),
    ]
    own = ("cust.example",)
    assert chosen(keys, ALICE, own) == ["new", "ed"]
    assert chosen(keys, ALICE, own, NOW - timedelta(days=1)) == ["old", "ed"]
    assert chosen(keys, ALICE, own, NOW + timedelta(days=1)) == ["next", "ed"]


@pytest.mark.parametrize(
    "raw",
    [
        b"From: <a@cust.example>, <b@victim.example>\r\nTo: b@x.example\r\n\r\nx\r\n",
        b"From: <a@cust.example>\r\nFrom: <b@victim.example>\r\n\r\nx\r\n",
        b"From: <a@cust.example>\r\nthis is no field\r\nTo: b@x.example\r\n\r\nx\r\n",
        b"From: <a@cust.example>\r\n \r\nFrom: <b@victim.example>\r\n\r\nx\r\n",
        b"To: b@x.example\r\n\r\nx\r\n",
    ],
    ids=["two authors", "two fields", "broken header", "line of blanks", "no author"],
)
def test_nothing_is_signed_whose_author_readers_may_see_differently(raw: bytes) -> None:
    assert Signer([key("cust.example")]).keys_for(parse(raw), ("cust.example",), NOW) == ()


@pytest.mark.parametrize("name", ["王伟（wangwei@qq.com）", "Li, a@qq.com"], ids=["a name", "decodes to a list"])
def test_what_a_display_name_shows_takes_nobody_s_signature(name: str) -> None:
    word = b"=?utf-8?b?%b?=" % b64encode(name.encode())
    raw = b"From: %b <ww@cust.example>\r\nTo: b@x.example\r\n\r\nx\r\n" % word
    signer = Signer([key("cust.example"), key("qq.com")])
    assert [x.domain for x in signer.keys_for(parse(raw), ("cust.example",), NOW)] == ["cust.example"]


# --- the files --------------------------------------------------------------------------------------------------------


def test_a_key_is_read_from_pem(tmp_path: Path) -> None:
    for private, algorithm in ((RSA, "rsa-sha256"), (ED, "ed25519-sha256")):
        read = load_private_key(write(tmp_path / algorithm, private))
        assert key("a.example", private=read).algorithm == algorithm


def test_what_is_no_key_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.clients.signing_keys.MIN_RSA_BITS", 2048)
    files = {
        "No such file": tmp_path / "none.pem",
        "everybody may read": write(tmp_path / "open.pem", RSA, 0o644),
        "not a private key": tmp_path / "text.pem",
        "1024 bits; DKIM takes": write(tmp_path / "short.pem", RSA),
    }
    files["not a private key"].write_bytes(b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n")
    files["not a private key"].chmod(0o600)
    for said, file in files.items():
        with pytest.raises(ModelError, match=said) as caught:
            load_private_key(file)
        assert str(file) in str(caught.value)


def test_a_policy_with_a_bad_key_is_not_taken(tmp_path: Path) -> None:
    table = {"domain": "cust.example", "selector": "s", "file": str(tmp_path / "none.pem")}
    config = Config.model_validate({"signing": {"key": [table]}, "node": {"state_dir": str(tmp_path)}})
    with pytest.raises(ModelError, match=r"none\.pem"):
        read_policy(config)


# --- in the mail path -------------------------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    file = str(write(tmp_path / "key.pem", RSA))
    config = Config.model_validate(
        {
            "listener": [
                {"name": "submission", "attribution": "xclient", "direction": "outbound"},
                {"name": "inbound", "direction": "inbound", "port": 10029, "authserv_id": "mx.cust.example"},
            ],
            "signing": {
                "key": [{"domain": "cust.example", "selector": "s", "file": file}],
                "seal": {"domain": "cust.example", "selector": "s", "file": file},
            },
            "node": {"state_dir": str(tmp_path)},
        }
    )
    opened = await House(folder=tmp_path, config=config).open()
    yield opened
    await opened.close()


ZONE = {"s._domainkey.cust.example": {"TXT": [record(RSA)]}}


@pytest.mark.parametrize("size", [10, 300_000])
async def test_an_account_s_mail_goes_on_signed(house: House, size: int) -> None:
    answer = await house.send(letter() + b"all is well\r\n" * (size // 13), BOB, login=ALICE)
    verdict = await ours(answer.raw, ZONE, at=START)
    assert [r.result for r in verdict.results] == ["pass"]
    assert answer.raw.count(b"DKIM-Signature:") == 1


async def test_mail_in_another_s_name_goes_on_unsigned(house: House) -> None:
    answer = await house.send(letter(sender="x@else.example"), BOB, login=ALICE)
    assert answer.reply is None
    assert b"DKIM-Signature" not in answer.raw


async def test_below_the_tenant_s_name_another_s_is_not_signed(house: House) -> None:
    """A provider's user does not sign in the name of a customer below the provider's domain."""
    assert await house.send(letter(sender="eve@sub.cust.example"), BOB, login="eve@sub.cust.example")
    answer = await house.send(letter(sender="eve@sub.cust.example"), BOB, login=ALICE)
    assert b"DKIM-Signature" not in answer.raw
    answer = await house.send(letter(sender="x@free.cust.example"), BOB, login=ALICE)
    assert b"DKIM-Signature" in answer.raw


async def test_a_stranger_s_mail_is_sealed_and_not_signed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.checks.test_arc.ZONE", ZONE)
    house.script.results = (AuthResult(method="arc", result="none"), AuthResult(method="spf", result="pass"))
    answer = await house.send(letter(sender="x@cust.example"), ALICE, listener="inbound")
    assert b"DKIM-Signature" not in answer.raw
    assert [(r.result, r.comment) for r in (await arc_of(answer.raw)).results] == [("pass", "i=1 d=cust.example")]


async def test_without_a_finding_about_the_chain_nothing_is_sealed(house: House) -> None:
    house.script.results = (AuthResult(method="spf", result="pass"),)
    answer = await house.send(letter(sender="x@cust.example"), ALICE, listener="inbound")
    assert b"ARC-Seal" not in answer.raw


async def test_held_mail_goes_on_signed_when_it_is_released(tmp_path: Path) -> None:
    keys = [{"domain": "cust.example", "selector": "s", "file": str(write(tmp_path / "key.pem", RSA))}]
    async with open_holding(tmp_path / "office", signing={"key": keys}) as office:
        office.script.codes = CONTESTABLE
        answer = await office.submit(letter("Offer"), BOB)
        assert answer.reply is not None
        (row,) = await office.items()
        await office.act("mona", "quarantine.release", item=row["item_id"], reason="a newsletter")
        await office.carry()
        (mail,) = office.sink.messages
        assert [r.result for r in (await ours(mail.raw, ZONE, at=office.clock.now())).results] == ["pass"]
        assert mail.raw.endswith(letter("Offer"))


async def test_a_report_about_returned_mail_is_signed_in_the_provider_s_name(tmp_path: Path) -> None:
    file = str(write(tmp_path / "key.pem", RSA))
    keys = [{"domain": name, "selector": "s", "file": file} for name in ("cust.example", "provider.example")]
    notices = {"sender": "Mail desk <desk@provider.example>"}
    async with open_holding(tmp_path / "office", signing={"key": keys}, notices=notices) as office:
        office.script.codes = CONTESTABLE
        await office.submit(letter("Offer"), BOB)
        (row,) = await office.items()
        await office.act("mona", "quarantine.return", item=row["item_id"], reason="spam")
        await office.carry()
        (mail,) = office.sink.messages
        zone = {f"s._domainkey.{name}": {"TXT": [record(RSA)]} for name in ("cust.example", "provider.example")}
        (result,) = (await ours(mail.raw, zone, at=office.clock.now())).results
        assert (result.result, result.properties[0]) == ("pass", ("header.d", "provider.example"))
        # The mail itself stands in it as it came.
        assert letter("Offer") in mail.raw
