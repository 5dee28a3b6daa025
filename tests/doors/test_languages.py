"""A refusal in two languages at each door: Chinese where it may be said, and everywhere the code and the address that
lead to it in both (MAIL-PATH §4g, RFC 6531 §3.7.4.2)."""

from __future__ import annotations

import re

import pytest

from filterd.config import MilterConfig, PolicyConfig
from filterd.doors.milter import start_milter
from filterd.doors.policyd import start_policyd
from filterd.errors import UsageError
from filterd.model.lifecycle import EXPIRY, Lifecycle
from filterd.model.reply import Reply
from filterd.pipeline.replies import ReplyStyle, service_reply, wording
from filterd.pipeline.texts import Why
from filterd.pipeline.why import page
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, open_house
from tests.kit import mta as mta_kit
from tests.kit.terms import tencent

TO = "b@example.org"
WHY = "https://provider.example/why/"
STYLE = ReplyStyle(appeals_address="appeals@provider.example", why_url=WHY)
CHINESE = re.compile("[\u4e00-\u9fff]")


def refusal() -> Reply:
    """What a customer reads whose service has ended."""
    return service_reply(Lifecycle(because=EXPIRY), wording(STYLE, tencent(), "zh"))


def gate() -> FakeGate:
    return FakeGate(refusals={TO: refusal()})


def code_of(said: str) -> str:
    """Say the code that the address in a reply leads to."""
    found = re.search(re.escape(WHY) + r"(\S+)", said)
    assert found is not None, said
    return found[1]


def unexpected(_: str, err: BaseException) -> None:
    raise UsageError("no error is due") from err


def check_ascii(said: str) -> None:
    """One language on the wire; the code stands first, and its page tells the rest in both."""
    assert said.isascii()
    assert code_of(said) == Why.EXPIRED.value
    assert f" {Why.EXPIRED.value} " in said
    told = page(code_of(said))
    assert told is not None
    text = told.decode("utf-8")
    assert '<section lang="en">' in text
    assert CHINESE.search(text)


@pytest.mark.parametrize("listener", [{}, {"protocol": "lmtp"}])
@pytest.mark.parametrize("is_utf8", [False, True])
async def test_smtp_and_lmtp(listener: dict[str, str], *, is_utf8: bool) -> None:
    async with open_house(gate=gate(), listener=listener) as house, house.dialog() as talk:
        await talk.greeted("LHLO x" if listener else "EHLO x")
        await talk.ask("MAIL FROM:<a@example.com>" + (" SMTPUTF8" if is_utf8 else ""))
        said = await talk.ask(f"RCPT TO:<{TO}>")
        if not is_utf8:
            check_ascii(said)
            return
        # Both, each in a line of its own, and the address in each.
        english, chinese = said.split("\n")
        check_ascii(english)
        assert "请续费" in chinese
        assert code_of(chinese) == Why.EXPIRED.value


@pytest.mark.parametrize("parameters", [(), (b"SMTPUTF8",)])
async def test_milter(parameters: tuple[bytes, ...]) -> None:
    """The protocol says nothing of charsets, so it is ASCII, also to a client that would understand."""
    config = MilterConfig(address="inet:127.0.0.1:0")
    server = await start_milter(config, gate(), on_error=unexpected)
    try:
        mta = await mta_kit.connect(server.port)
        await mta.connect()
        await mta.helo()
        await mta.mail(b"<a@example.com>", *parameters)
        said = await mta.rcpt(f"<{TO}>".encode())
        assert said[:1] == b"y"
        check_ascii(said[1:].removesuffix(b"\0").decode("utf-8"))
        mta.close()
    finally:
        await server.drain(1)


async def test_policy_service() -> None:
    server = await start_policyd(PolicyConfig(port=0), gate(), on_error=unexpected)
    try:
        async with Dialog(server.port) as talk:
            asked = f"request=smtpd_access_policy\nprotocol_state=RCPT\nsasl_username=a@example.com\nrecipient={TO}\n\n"
            await talk.send(asked.encode())
            check_ascii(await talk.line())
    finally:
        await server.drain(1)
