"""XFORWARD commands to the next hop: the offered subset, xtext, bounded length (XFORWARD_README)."""

from __future__ import annotations

import pytest

from filterd.clients.xtext import encode, xforward_commands


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        ("mail.example.org", b"mail.example.org"),
        ("[UNAVAILABLE]", b"[UNAVAILABLE]"),
        ("IPV6:2001:db8::1", b"IPV6:2001:db8::1"),
        ("a b+c=d", b"a+20b+2Bc+3Dd"),
        ("例", b"+E4+BE+8B"),
        ("x\r\nMAIL FROM:<>", b"x+0D+0AMAIL+20FROM:<>"),
    ],
)
def test_values_become_xtext(value: str, octets: bytes) -> None:
    assert encode(value) == octets


def test_only_what_is_offered_is_sent_in_the_order_offered() -> None:
    known = {"NAME": "n", "ADDR": "192.0.2.1", "LOGIN": "secret", "SOURCE": "REMOTE"}
    assert xforward_commands("addr NAME PORT", known) == [b"XFORWARD ADDR=192.0.2.1 NAME=n"]
    assert xforward_commands("", known) == []


def test_long_values_are_unavailable_and_commands_are_parted() -> None:
    known = dict.fromkeys(("NAME", "HELO", "IDENT"), "x" * 200) | {"PROTO": "x" * 256}
    commands = xforward_commands("NAME HELO IDENT PROTO", known)
    assert len(commands) == 2
    assert all(len(command) + 2 <= 512 for command in commands)
    assert commands[1].endswith(b"PROTO=[UNAVAILABLE]")
