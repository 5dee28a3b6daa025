"""What trusted peers say of their clients (XFORWARD_README, XCLIENT_README)."""

from __future__ import annotations

import pytest

from filterd.doors.smtp_client import Client, Peers
from filterd.doors.xforward import XCLIENT_NAMES, XFORWARD_NAMES, attributes
from filterd.errors import PeerError

READ = [
    (b"NAME=mail.example.org ADDR=192.0.2.1", {"NAME": "mail.example.org", "ADDR": "192.0.2.1"}),
    (b"addr=192.0.2.1 Port=2525", {"ADDR": "192.0.2.1", "PORT": "2525"}),
    (b"ADDR=IPV6:2001:DB8::1", {"ADDR": "2001:db8::1"}),
    (b"ADDR=ipv6:2001:db8:0::1", {"ADDR": "2001:db8::1"}),
    (b"ADDR=2001:db8::1", {"ADDR": "2001:db8::1"}),
    (b"NAME=[UNAVAILABLE] ADDR=[unavailable] PORT=[Unavailable]", {"NAME": None, "ADDR": None, "PORT": None}),
    (b"NAME=[TEMPUNAVAIL]", {"NAME": None}),
    (b"NAME=unknown", {"NAME": None}),
    (b"HELO=a+20b+3D+2B", {"HELO": "a?b=+"}),
    # Postfix before 2.3 does not encode.
    (b"HELO=[192.0.2.1] PROTO=esmtp", {"HELO": "[192.0.2.1]", "PROTO": "ESMTP"}),
    (b"HELO=x+0Ay<z>", {"HELO": "x?y?z?"}),
    (b"HELO=+E4+BE+8B.cn", {"HELO": "例.cn"}),
    (b"IDENT=4Xyz SOURCE=remote", {"IDENT": "4Xyz", "SOURCE": "REMOTE"}),
    (b"NAME=a NAME=b", {"NAME": "b"}),
    (b"HELO=" + b"x" * 255, {"HELO": "x" * 255}),
]

REFUSED = [
    b"",
    b"NAME",
    b"NAME=",
    b"=x",
    b"LOGIN=x",
    b"ADDR=300.0.2.1",
    b"ADDR=IPV6:fe80::1%eth0",
    b"ADDR=mail.example.org",
    b"PORT=65536",
    b"PORT=-1",
    b"PORT=\xb2",
    b"SOURCE=ELSEWHERE",
    b"HELO=" + b"x" * 256,
    b"HELO=" + b"x" * 250 + b" NAME=" + b"y" * 250,
]


@pytest.mark.parametrize(("argument", "found"), READ)
def test_read(argument: bytes, found: dict[str, str | None]) -> None:
    assert attributes(argument, XFORWARD_NAMES) == found


@pytest.mark.parametrize("argument", REFUSED)
def test_refused(argument: bytes) -> None:
    with pytest.raises(PeerError):
        attributes(argument, XFORWARD_NAMES)


def client() -> Client:
    return Client(address="127.0.0.1", port=4000, is_trusted=True, helo="proxy.example", protocol="ESMTP")


def test_a_client_that_nobody_speaks_for_is_the_socket_peer() -> None:
    session = client().session("smtp")
    assert (session.client_address, session.client_port, session.client_name) == ("127.0.0.1", 4000, None)
    assert (session.helo, session.protocol, session.login) == ("proxy.example", "ESMTP", None)
    assert client().forwarded() == {
        "NAME": "[UNAVAILABLE]",
        "ADDR": "127.0.0.1",
        "PORT": "4000",
        "PROTO": "ESMTP",
        "HELO": "proxy.example",
        **dict.fromkeys(("LOGIN", "DESTADDR", "DESTPORT"), "[UNAVAILABLE]"),
    }


def test_xforward_is_never_mixed_with_the_socket_peer() -> None:
    who = client()
    who.add_xforward(attributes(b"ADDR=IPV6:2001:db8::1", XFORWARD_NAMES))
    who.add_xforward(attributes(b"NAME=mx.example", XFORWARD_NAMES))
    session = who.session("smtp")
    assert (session.client_address, session.client_name) == ("2001:db8::1", "mx.example")
    assert (session.client_port, session.helo, session.protocol) == (None, None, None)
    assert session.peer_address == "127.0.0.1"
    assert who.forwarded() == {
        "NAME": "mx.example",
        "ADDR": "IPV6:2001:db8::1",
        "PORT": "[UNAVAILABLE]",
        "PROTO": "[UNAVAILABLE]",
        "HELO": "[UNAVAILABLE]",
        "IDENT": "[UNAVAILABLE]",
        "SOURCE": "[UNAVAILABLE]",
        **dict.fromkeys(("LOGIN", "DESTADDR", "DESTPORT"), "[UNAVAILABLE]"),
    }


def test_xclient_replaces_the_peer_and_carries_the_login() -> None:
    who = client()
    who.add_xclient(attributes(b"ADDR=192.0.2.7 LOGIN=User+40Example.COM", XCLIENT_NAMES), None)
    session = who.session("smtp")
    assert (session.client_address, session.client_port) == ("192.0.2.7", None)
    assert (session.login, session.login_source) == ("user@example.com", "xclient")
    # The same client's HELO may come in a second command.
    who.add_xclient(attributes(b"HELO=laptop", XCLIENT_NAMES), None)
    assert (who.session("smtp").login, who.session("smtp").helo) == ("user@example.com", "laptop")
    # Another client without a login has none.
    who.add_xclient(attributes(b"ADDR=192.0.2.8", XCLIENT_NAMES), None)
    assert who.session("smtp").login is None
    who.add_xclient(attributes(b"ADDR=192.0.2.8 LOGIN=bob", XCLIENT_NAMES), "example.net")
    assert who.session("smtp").login == "bob@example.net"
    who.add_xclient(attributes(b"LOGIN=[UNAVAILABLE]", XCLIENT_NAMES), None)
    assert who.session("smtp").login is None


def test_a_login_that_is_none_changes_nothing() -> None:
    who = client()
    who.add_xclient({"LOGIN": "a@example.com"}, None)
    with pytest.raises(PeerError):
        who.add_xclient({"LOGIN": "x\0y", "ADDR": "192.0.2.1"}, None)
    assert who.session("smtp").login == "a@example.com"
    assert "ADDR" not in who.xclient


@pytest.mark.parametrize(
    ("peername", "address", "is_trusted"),
    [
        (("127.0.0.1", 1), "127.0.0.1", True),
        (("10.1.2.3", 1), "10.1.2.3", True),
        (("192.0.2.1", 1), "192.0.2.1", False),
        (("::1", 1, 0, 0), "::1", True),
        (("::ffff:10.1.2.3", 1, 0, 0), "10.1.2.3", True),
        (("fe80::1%eth0", 1, 0, 2), "fe80::1", False),
        ("", "unix", False),
        (None, "unix", False),
    ],
)
def test_who_is_trusted(peername: object, address: str, is_trusted: bool) -> None:
    peers = Peers(("127.0.0.0/8", "10.0.0.0/8", "::1/128"))
    who = peers.client(peername)
    assert (who.address, who.is_trusted) == (address, is_trusted)
