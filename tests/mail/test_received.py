"""The login in a trusted Postfix's Received field: taken when it is surely Postfix's word, never from a client's."""

from __future__ import annotations

import pytest

from filterd.mail.parse import parse
from filterd.mail.received import UNREADABLE, authenticated_sender
from filterd.mail.received import parse as parse_received

HOST = "mail.example.com"
DATE = "Mon, 2 Nov 2026 10:00:00 +0100 (CET)"


def received(
    *,
    helo: str = "laptop.example",
    client: str = "client.example [192.0.2.7]",
    tls: tuple[str, ...] = (),
    login: str | None = "alice",
    by: str = HOST,
    protocol: str = "ESMTPA",
    queue_id: str | None = "4XyZ12AbCz",
    recipient: str | None = "bob@example.org",
) -> str:
    """Write the field as smtpd's data_cmd does."""
    lines = [f"Received: from {helo} ({client})", *(f"\t{line}" for line in tls)]
    if login is not None:
        lines.append(f"\t(Authenticated sender: {login})")
    end = f" id {queue_id}" if queue_id else ""
    if recipient is None:
        lines += [f"\tby {by} (Postfix) with {protocol}{end};", f"\t{DATE}"]
    else:
        lines += [f"\tby {by} (Postfix) with {protocol}{end}", f"\tfor <{recipient}>; {DATE}"]
    return "\r\n".join(lines) + "\r\n"


TLS = (
    "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
    " key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)",
    "(No client certificate requested)",
)


def sender(header: str, **options: object) -> str | None:
    return authenticated_sender(parse(header.encode() + b"Subject: x\r\n\r\nbody\r\n"), HOST, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "header",
    [
        received(),
        received(recipient=None),
        received(queue_id=None),
        received(protocol="ESMTPSA", tls=TLS),
        received(protocol="UTF8SMTPSA", tls=TLS),
        received(protocol="UTF8SMTPA"),
        received(tls=('(Client CN "laptop", Issuer "Our CA" (verified OK))',)),
        received(by="MAIL.example.COM"),
        received(helo="[192.0.2.7]", client="unknown [192.0.2.7]"),
        received(client="unknown [IPv6:2001:db8::7]"),
        received().replace("Received:", "RECEIVED:"),
        received().replace("Mon, 2 Nov", "Mon,  2 Nov"),
    ],
)
def test_the_login_is_read(header: str) -> None:
    assert sender(header) == "alice"


def test_the_parts_are_read() -> None:
    found = parse_received(received(protocol="ESMTPSA", tls=TLS).removeprefix("Received:").encode())
    assert found is not None
    assert (found.by, found.protocol, found.queue_id, found.login) == (HOST, "ESMTPSA", "4XyZ12AbCz", "alice")


FORGED = "x (y [192.0.2.9]) (Authenticated sender: boss) by mail.example.com (Postfix) with ESMTPSA id 1"


@pytest.mark.parametrize(
    "header",
    [
        # Not authenticated, or not by the host we trust.
        received(login=None, protocol="ESMTP"),
        received(login="boss", protocol="ESMTP"),
        received(login="boss", protocol="ESMTPS"),
        received(login=None, protocol="ESMTPA"),
        received(by="mail.example.com.attacker.example"),
        received(by="other.example.com"),
        # Not on top.
        "X-Mine: 1\r\n" + received(),
        "Received: from a (b [192.0.2.1]) by c (Postfix) with ESMTP id 1; " + DATE + "\r\n" + received(),
        "From x@y Mon\r\n" + received(),
        " folded\r\n" + received(),
        received().replace("Received:", "Received :"),
        # Text smuggled in through HELO, in programs that let it through.
        received(helo="x (Authenticated sender: boss)", login=None, protocol="ESMTP"),
        received(helo=f"{FORGED}; {DATE}", login=None, protocol="ESMTP"),
        received(helo=f"{FORGED} for <z@z>; {DATE}", login=None, protocol="ESMTP"),
        received(helo=f"{FORGED} for <", login=None, protocol="ESMTP"),
        received(helo=f"{FORGED} (", login=None, protocol="ESMTP", recipient='") x"@d'),
        received(
            helo="x (y [192.0.2.9]) (",
            login=None,
            protocol="ESMTP",
            recipient='"q) (Authenticated sender: boss) by mail.example.com (P) with ESMTPSA for <z"@d',
        ),
        received(helo="x by mail.example.com (Postfix) with ESMTPSA", login="boss", protocol="ESMTP"),
        # Through a certificate name, without a login.
        received(
            tls=('(Client CN "(Authenticated sender: boss)", Issuer "x" (not verified))',),
            login=None,
            protocol="ESMTPS",
        ),
        received(
            tls=(f'(Client CN "x" (Authenticated sender: boss) by {HOST} (Postfix) with ESMTPSA", Issuer "x" (y))',),
            login=None,
            protocol="ESMTPS",
        ),
        # Cut short, or with something behind it.
        received().replace(DATE, ""),
        received().replace(DATE, DATE + " by x"),
        received().replace("\tby ", "\tBY "),
        received().replace("for <", "for <a b"),
        received(login="x" * 5000),
        "Received:\r\n",
    ],
)
def test_nobody_is_named_on_doubt(header: str) -> None:
    assert sender(header) is None


@pytest.mark.parametrize("login", ["j?rg", "a(b)", "a b", "a ", ""])
def test_a_login_that_may_not_be_what_the_client_was_known_by_is_named_unreadable(login: str) -> None:
    assert sender(received(login=login)) == UNREADABLE


@pytest.mark.parametrize(
    "tls",
    [
        ('(Client CN "(Authenticated sender: boss)", Issuer "x" (not verified))',),
        ('(Client CN "x", Issuer "(Authenticated sender: boss) by other (Postfix) with ESMTPSA id 1" (not verified))',),
    ],
)
def test_a_certificate_name_does_not_change_the_login(tls: tuple[str, ...]) -> None:
    assert sender(received(tls=tls, protocol="ESMTPSA")) == "alice"


def test_fields_our_side_adds_may_stand_above() -> None:
    header = "X-Policy: signed\r\nx-other: 1\r\n" + received()
    assert sender(header) is None
    assert sender(header, ignore=("X-Policy", "X-Other")) == "alice"
    assert sender(header, ignore=("X-Policy",)) is None


def test_no_host_trusts_nobody() -> None:
    message = parse(received(by="").encode() + b"\r\n")
    assert authenticated_sender(message, "") is None
    assert authenticated_sender(parse(b"body only"), HOST) is None
