"""Envelope paths: the grammar of RFC 5321, what is refused, and that one mailbox has one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.errors import PeerError
from filterd.mail.address import (
    mail_arguments,
    mailbox_as_given,
    parse_forward_path,
    parse_reverse_path,
    rcpt_arguments,
)


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (b"<a@b.example>", "a@b.example"),
        (b"<A.b+tag@B.EXAMPLE>", "A.b+tag@b.example"),
        (b"<!#$%&'*+/=?^_`{|}~-@x.example>", "!#$%&'*+/=?^_`{|}~-@x.example"),
        (b'<"john doe"@x.example>', '"john doe"@x.example'),
        (b'<"john"@x.example>', "john@x.example"),
        (b'<"jo\\hn"@x.example>', "john@x.example"),
        (b'<"a\\"b"@x.example>', '"a\\"b"@x.example'),
        (b'<"a@b>c"@x.example>', '"a@b>c"@x.example'),
        (b'<""@x.example>', '""@x.example'),
        (b"<a@[192.0.2.1]>", "a@[192.0.2.1]"),
        (b"<a@[IPv6:2001:DB8:0::1]>", "a@[ipv6:2001:db8::1]"),
        (b"<a@localhost>", "a@localhost"),
        (b"<a@my_host.example>", "a@my_host.example"),
        (b"<a@xn--mnchen-3ya.example>", "a@xn--mnchen-3ya.example"),
    ],
)
def test_a_path_has_one_address(path: bytes, address: str) -> None:
    found = parse_reverse_path(path)
    assert found is not None
    assert (found.address, found.raw) == (address, path[1:-1])
    assert parse_forward_path(path) == found


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"a@b.example",
        b"<a@b.example",
        b"<>x",
        b"<a>",
        b"<@b.example>",
        b"<a@>",
        b"<@relay.example:a@b.example>",
        b"<@r1.example,@r2.example:a@b.example>",
        b"<a@b.example(comment)>",
        b"<any@legitimate.example(a.attack.example>",
        b"<(c)a@b.example>",
        b"<a b@c.example>",
        b"<a\0@b.example>",
        b"<a@b\r\n.example>",
        b"<a@b.example\n>",
        b'<"a\nb"@c.example>',
        b'<"a@c.example>',
        b"<.a@b.example>",
        b"<a.@b.example>",
        b"<a..b@c.example>",
        b"<a@b..c>",
        b"<a@b.example.>",
        b"<a@-b.example>",
        b"<a@b-.example>",
        b"<a@[192.0.2]>",
        b"<a@[IPv6:fe80::1%eth0]>",
        b"<a@[tag:what]>",
        b"<a@b@c.example>",
        b"<a@" + b"d" * 64 + b".example>",
        b"<\xff@b.example>",
        b"<caf\xc3\xa9@b.example>",
        b"<" + b"l" * 65 + b"@b.example>",
        b"<a@" + b"d." * 127 + b"example>",
        b"<" + b"l" * 60 + b"@" + b"d." * 100 + b"example>",
    ],
)
def test_what_is_no_path_is_refused(path: bytes) -> None:
    with pytest.raises(PeerError) as refused:
        parse_reverse_path(path)
    # The text goes to the client: short, printable, nothing of the input.
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 60


def test_utf8_is_accepted_only_with_smtputf8() -> None:
    path = "<Jürgen@MÜNCHEN.example>".encode()
    found = parse_reverse_path(path, smtputf8=True)
    assert found is not None
    assert found.address == "Jürgen@xn--mnchen-3ya.example"
    with pytest.raises(PeerError):
        parse_reverse_path(path)


def test_both_spellings_of_an_accent_are_one_mailbox() -> None:
    composed = parse_forward_path("<caf\u00e9@x.example>".encode(), smtputf8=True)
    combined = parse_forward_path("<cafe\u0301@x.example>".encode(), smtputf8=True)
    assert composed.address == combined.address
    assert composed.raw != combined.raw


@pytest.mark.parametrize(
    "octets", [b"<\xff\xfe@x.example>", b"<\xed\xa0\x80@x.example>", "<a\u202eb@x.example>".encode()]
)
def test_utf8_must_be_utf8_and_visible(octets: bytes) -> None:
    with pytest.raises(PeerError):
        parse_reverse_path(octets, smtputf8=True)


def test_the_null_sender_is_none() -> None:
    assert parse_reverse_path(b"<>") is None
    assert mail_arguments(b"FROM:<> SIZE=10") == (None, (b"SIZE=10",))
    with pytest.raises(PeerError):
        parse_forward_path(b"<>")


@pytest.mark.parametrize("spelling", [b"<Postmaster>", b"<postmaster>", b"<POSTMASTER>"])
def test_postmaster_needs_no_domain_as_recipient(spelling: bytes) -> None:
    path = parse_forward_path(spelling)
    assert (path.address, path.domain, path.raw) == ("postmaster", "", spelling[1:-1])
    with pytest.raises(PeerError):
        parse_reverse_path(spelling)


@pytest.mark.parametrize(
    ("argument", "address", "parameters"),
    [
        (b"FROM:<a@b.example>", "a@b.example", ()),
        (b"from:<a@b.example>", "a@b.example", ()),
        (b"FROM: <a@b.example>  ", "a@b.example", ()),
        (
            b"FROM:<a@b.example> SIZE=1000 BODY=8BITMIME ENVID=QQ314159 AUTH=<>",
            "a@b.example",
            (b"SIZE=1000", b"BODY=8BITMIME", b"ENVID=QQ314159", b"AUTH=<>"),
        ),
        (b'FROM:<"a> SIZE=1 "@b.example> ret=HDRS', '"a> SIZE=1 "@b.example', (b"ret=HDRS",)),
        ("FROM:<ü@b.example> SMTPUTF8".encode(), "ü@b.example", (b"SMTPUTF8",)),
    ],
)
def test_mail_arguments_are_split_and_kept_verbatim(
    argument: bytes, address: str, parameters: tuple[bytes, ...]
) -> None:
    path, found = mail_arguments(argument)
    assert path is not None
    assert (path.address, found) == (address, parameters)


def test_rcpt_parameters_are_kept_verbatim() -> None:
    path, parameters = rcpt_arguments(b"TO:<Bob@Example.ORG> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@Example.ORG")
    assert path.address == "Bob@example.org"
    assert parameters == (b"NOTIFY=SUCCESS,FAILURE", b"ORCPT=rfc822;Bob@Example.ORG")


@pytest.mark.parametrize(
    "argument",
    [
        b"",
        b"FROM",
        b"FROM<a@b.example>",
        b"TO:<a@b.example>",
        b"FROM:a@b.example",
        b"FROM:<a@b.example>SIZE=1",
        b"FROM:<a@b.example> =1",
        b"FROM:<a@b.example> SIZE=",
        b"FROM:<a@b.example> SI\0ZE=1",
        b"FROM:<a@b.example> X\rY",
        b'FROM:<"a@b.example> SIZE=1',
    ],
)
def test_malformed_arguments_are_refused(argument: bytes) -> None:
    with pytest.raises(PeerError):
        mail_arguments(argument)


@given(st.binary(max_size=80).map(lambda b: b"<" + b + b"@x.example>"), st.booleans())
@settings(deadline=None)
def test_a_path_is_refused_or_its_address_is_a_path_with_the_same_address(path: bytes, smtputf8: bool) -> None:
    try:
        found = parse_forward_path(path, smtputf8=smtputf8)
    except PeerError:
        return
    again = parse_forward_path(f"<{found.address}>".encode(), smtputf8=True)
    assert again.address == found.address
    assert found.address.isprintable()
    found.address.encode("utf-8")


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_octets_are_answered(argument: bytes) -> None:
    for read in (mail_arguments, rcpt_arguments):
        try:
            read(argument)
        except PeerError:
            continue


@pytest.mark.parametrize(
    ("internal", "written"),
    [
        (b"a b@x.example", b'"a b"@x.example'),
        (b'a"b\\c@X.Example', b'"a\\"b\\\\c"@X.Example'),
        (b"a@b@x.example", b'"a@b"@x.example'),
        (b".a.@x.example", b'".a."@x.example'),
        (b"@x.example", None),
        ("名 字@x.example".encode(), '"名 字"@x.example'.encode()),
    ],
)
def test_an_internal_form_is_quoted_as_the_grammar_has_it(internal: bytes, written: bytes | None) -> None:
    found = mailbox_as_given(internal)
    if written is None:
        assert found.raw == internal
        return
    assert found == parse_forward_path(b"<" + written + b">", smtputf8=True)


@pytest.mark.parametrize(
    "octets", [b"root", b"a\x00b@x.example", b"\xff b@x.example", b"@r.example:a b@x.example", b"a b@-", b'"a b"@-']
)
def test_what_no_quotes_make_an_address_of_stays_as_it_came(octets: bytes) -> None:
    assert mailbox_as_given(octets).raw == octets


@given(st.binary(max_size=60).map(lambda b: b + b"@x.example"))
@settings(deadline=None)
def test_an_internal_form_is_left_alone_or_becomes_a_path(octets: bytes) -> None:
    found = mailbox_as_given(octets)
    if found.raw == octets:
        return
    again = parse_forward_path(b"<" + found.raw + b">", smtputf8=True) if len(found.raw) < 64 else found
    assert again == found
