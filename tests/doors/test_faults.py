"""Faults 33 and 34 of mail authentication, by their number (tests/faults.toml): who is the client, who the sender?"""

from __future__ import annotations

from typing import Any

import pytest

from filterd.checks.spf import MAIL_FROM, _identity, client_address
from filterd.doors.proxy_wire import V2_SIGNATURE
from filterd.log.facts import pseudonym, sender_facts
from filterd.model.session import Transaction
from tests.checks.contexts import transaction
from tests.dialogs.house import House, open_house

pytestmark = pytest.mark.slow

FORGED = "192.0.2.7"
KEY = b"k" * 32


def judged(house: House) -> Transaction:
    """What the checks would be given of the one mail."""
    (intake,) = house.gate.intakes
    return transaction(intake.raw, session=intake.session, envelope=intake.envelope)


@pytest.mark.parametrize(
    "command",
    [
        f"XCLIENT ADDR={FORGED} NAME=mail.bank.example",
        f"XFORWARD ADDR={FORGED} NAME=mail.bank.example",
        f"PROXY TCP4 {FORGED} 198.51.100.1 56324 25",
    ],
)
async def test_fault_33_a_stranger_cannot_say_where_its_mail_comes_from(command: str) -> None:
    async with open_house(listener={"attribution": "xclient", "trusted_peers": ("192.0.2.0/24",)}) as house:
        async with house.dialog() as talk:
            await talk.greeted()
            assert (await talk.ask(command))[:3] in ("500", "502", "550")
            await talk.envelope()
            await talk.data(b"x\r\n")
        # What SPF, the rates and the ledger know of the client, and what the next hop is told.
        assert client_address(judged(house).session) == "127.0.0.1"
        assert FORGED.encode() not in b"".join(house.sink.commands)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_fault_33_a_binary_proxy_header_from_a_stranger_is_no_command(protocol: str) -> None:
    header = V2_SIGNATURE + bytes((0x21, 0x11, 0, 12)) + bytes((192, 0, 2, 7, 198, 51, 100, 1, 0, 25, 0, 25))
    async with open_house(listener={"protocol": protocol}) as house:
        async with house.dialog() as talk:
            await talk.send(header)
            await talk.send(b"MAIL FROM:<a@bank.example>\r\nQUIT\r\n")
            assert (await talk.reply()).startswith("220 ")
            assert (await talk.reply()).startswith("500 ")
        assert house.gate.senders == []


REFUSED = [
    b"<any@bank.example(a.evil.example>",
    b"<a@bank.example(comment)>",
    b"<(comment)a@bank.example>",
    b"<@relay.example:a@bank.example>",
    b"<@r1.example,@r2.example:a@bank.example>",
    b"<a\0@bank.example>",
    b"<a@bank.example\0>",
    b"<a@bank.example> <b@evil.example>",
    b"<a@b@bank.example>",
    b"<\xff@bank.example>",
    b"<a@b\xfcro.example>",
    b"<\xe4\xbe\x8b@bank.example>",
    b"<" + b"a" * 300 + b"@bank.example>",
    b"<a@" + b"b" * 300 + b".example>",
]
ONE_IDENTITY = [
    (b"<A.b+tag@BANK.Example>", "A.b+tag", "bank.example"),
    (b'<"john doe"@bank.example>', '"john doe"', "bank.example"),
    (b'<"a@evil.example"@bank.example>', '"a@evil.example"', "bank.example"),
    (b'<"a>b"@bank.example>', '"a>b"', "bank.example"),
    (b'<"jo\\hn"@bank.example>', "john", "bank.example"),
    (b"<a@xn--mnchen-3ya.example>", "a", "xn--mnchen-3ya.example"),
    (b"<" + b"a" * 64 + b"@bank.example>", "a" * 64, "bank.example"),
]


@pytest.mark.parametrize("path", REFUSED)
async def test_fault_34_a_reverse_path_that_is_none_is_refused(path: bytes) -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.send(b"MAIL FROM:" + path + b"\r\n")
        assert (await talk.reply())[:3] in ("500", "501", "553", "555")
        assert house.gate.senders == []


@pytest.mark.parametrize(("path", "local_part", "domain"), ONE_IDENTITY)
async def test_fault_34_the_sender_is_the_same_everywhere(path: bytes, local_part: str, domain: str) -> None:
    async with open_house() as house:
        async with house.dialog() as talk:
            await talk.greeted()
            await talk.send(b"MAIL FROM:" + path + b"\r\n")
            assert (await talk.reply()).startswith("250 ")
            assert (await talk.ask("RCPT TO:<bob@house.example>")).startswith("250 ")
            await talk.data(b"x\r\n")
        mail = judged(house)
        said: Any = mail.envelope.reverse_path
        # The gate, SPF, the log (a keyed hash and the domain), and the next hop, which has the very octets.
        assert (said.local_part, said.domain) == (local_part, domain)
        assert house.gate.senders[0][1] == said
        assert _identity(mail, "mail.example") == (MAIL_FROM, local_part, domain)
        assert sender_facts(KEY, said) == {"domain": domain, "hash": pseudonym(KEY, f"{local_part}@{domain}")}
        (relayed,) = [line for line in house.sink.commands if line.upper().startswith(b"MAIL FROM:")]
        assert relayed.startswith(b"MAIL FROM:" + path)
