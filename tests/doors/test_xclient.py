"""XCLIENT in dialogue: what it resets, what it keeps, who may say it (XCLIENT_README), and nginx's way of using it."""

from __future__ import annotations

import pytest

from tests.dialogs.client import Dialog
from tests.dialogs.house import House, open_house

XCLIENT = {"attribution": "xclient", "login_domain": "example.com"}
GREETING = "220 door.example ESMTP filterd"


async def seen(house: House, talk: Dialog) -> tuple[str | None, ...]:
    """Send a mail; says whose the gate takes it for: login, address, name, HELO and protocol."""
    assert (await talk.envelope())[1] == "250 2.1.5 Ok"
    assert (await talk.data(b"x\r\n")).startswith("250 ")
    session = house.gate.intakes[-1].session
    return session.login, session.client_address, session.client_name, session.helo, session.protocol


async def test_the_way_of_nginx() -> None:
    """ngx_mail_proxy_module: EHLO with its own name, XCLIENT, then EHLO with the client's; one line at a time."""
    async with open_house(listener=XCLIENT) as house, house.dialog() as talk:
        await talk.greeted("EHLO nginx.example")
        assert await talk.ask("XCLIENT ADDR=192.0.2.7 LOGIN=alice+40example.com NAME=host.example") == GREETING
        assert (await talk.ask("EHLO laptop")).startswith("250-")
        assert await seen(house, talk) == ("alice@example.com", "192.0.2.7", "host.example", "laptop", "ESMTP")
        assert house.gate.intakes[-1].session.login_source == "xclient"
        assert house.gate.admitted[-1][0].login == "alice@example.com"
        # What the next hop is told of the client; never the login.
        assert house.commands(b"XFORWARD")[-1].startswith(b"XFORWARD NAME=host.example ADDR=192.0.2.7 ")


@pytest.mark.parametrize("name", ["[UNAVAILABLE]", "[TEMPUNAVAIL]", "[unavailable]"])
async def test_nginx_without_login_and_without_a_name(name: str) -> None:
    async with open_house(listener=XCLIENT) as house, house.dialog() as talk:
        await talk.greeted("HELO nginx.example")
        assert await talk.ask(f"XCLIENT ADDR=IPV6:2001:db8::7 NAME={name}") == GREETING
        assert await talk.ask("HELO laptop") == "250 door.example"
        assert await seen(house, talk) == (None, "2001:db8::7", None, "laptop", "SMTP")


@pytest.mark.parametrize(
    "line",
    [
        "XCLIENT NAME=host.example LOGIN=alice ADDR=192.0.2.7",
        "XCLIENT ADDR=192.0.2.7 NAME=host.example LOGIN=alice",
        "xclient login=alice addr=192.0.2.7 name=host.example",
        "XCLIENT LOGIN=+61lice ADDR=192.0.2.7 NAME=host.example PORT=1 DESTADDR=192.0.2.1 DESTPORT=587",
    ],
)
async def test_the_order_plays_no_part(line: str) -> None:
    async with open_house(listener=XCLIENT) as house, house.dialog() as talk:
        await talk.greeted()
        assert await talk.ask(line) == GREETING
        await talk.ask("EHLO laptop")
        assert (await seen(house, talk))[:3] == ("alice@example.com", "192.0.2.7", "host.example")


async def test_it_goes_back_to_the_greeting_and_keeps_what_it_said() -> None:
    async with open_house(listener=XCLIENT) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.ask("XFORWARD NAME=old.example ADDR=192.0.2.99")
        assert await talk.ask("XCLIENT ADDR=192.0.2.7 LOGIN=alice HELO=laptop PROTO=SMTP") == GREETING
        assert await talk.ask("MAIL FROM:<>") == "503 5.5.1 Send EHLO first"
        await talk.ask("EHLO proxy.example")
        # HELO and PROTO of XCLIENT are the client's and outlive the proxy's own EHLO.
        assert await seen(house, talk) == ("alice@example.com", "192.0.2.7", None, "laptop", "SMTP")
        # They last for the connection, not for one mail.
        assert (await seen(house, talk))[0] == "alice@example.com"
        await talk.ask("RSET")
        assert (await seen(house, talk))[0] == "alice@example.com"


async def test_the_next_client_of_a_kept_connection_is_another() -> None:
    async with open_house(listener=XCLIENT) as house, house.dialog() as talk:
        await talk.greeted()
        for login, address in (("alice", "192.0.2.7"), (None, "192.0.2.8"), ("bob", "192.0.2.9")):
            said = f"XCLIENT ADDR={address}" + (f" LOGIN={login}" if login else "")
            assert await talk.ask(said) == GREETING
            await talk.ask("EHLO laptop")
            assert (await seen(house, talk))[:2] == (f"{login}@example.com" if login else None, address)
        assert await talk.ask("XCLIENT LOGIN=[UNAVAILABLE]") == GREETING
        await talk.ask("EHLO laptop")
        assert (await seen(house, talk))[0] is None


@pytest.mark.parametrize(
    "argument",
    [
        "",
        " ADDR",
        " ADDR=",
        " ADDR=mail.example",
        " ADDR=192.0.2.7 PORT=x",
        " PROTO=UUCP",
        " IDENT=x",
        " LOGIN=+FF@example.com",
        " LOGIN=a+00b@example.com",
        " LOGIN=a@b@c",
        " NAME=" + "x" * 256,
        " ADDR=192.0.2.7" + " NAME=x" * 80,
    ],
)
async def test_a_bad_one_changes_nothing(argument: str) -> None:
    async with open_house(listener=XCLIENT) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.ask("XCLIENT ADDR=192.0.2.7 LOGIN=alice")
        await talk.ask("EHLO laptop")
        assert (await talk.ask(f"XCLIENT{argument}")).startswith("501 5.5.4 XCLIENT: ")
        assert (await seen(house, talk))[:2] == ("alice@example.com", "192.0.2.7")


async def test_not_in_a_transaction() -> None:
    async with open_house(listener=XCLIENT) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.ask("MAIL FROM:<>")
        assert await talk.ask("XCLIENT ADDR=192.0.2.7") == "503 5.5.1 Mail transaction in progress"
        await talk.ask("RCPT TO:<b@example.org>")
        await talk.data(b"x\r\n")
        assert house.gate.intakes[-1].session.client_address == "127.0.0.1"


@pytest.mark.parametrize("listener", [{"attribution": "none"}, XCLIENT | {"trusted_peers": ("192.0.2.0/24",)}])
async def test_from_whom_it_is_not_believed(listener: dict[str, object]) -> None:
    async with open_house(listener=listener) as house, house.dialog() as talk:
        assert "XCLIENT" not in await talk.greeted()
        assert await talk.ask("XCLIENT ADDR=192.0.2.7 LOGIN=alice") == "550 5.7.1 Not authorized"
        assert (await seen(house, talk))[:2] == (None, "127.0.0.1")
