"""Header edits: exactly the named fields go, exactly the given fields come, and not one octet else changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.errors import UsageError
from filterd.mail.edit import prepend_fields, remove_fields, remove_where, render_field
from filterd.mail.parse import parse

pytestmark = pytest.mark.slow

MAIL = (
    b"Received: a\r\nX-Spam: Yes\r\nSubject: x\r\nx-spam :\r\n folded\r\nX-Spammy: no\r\nX-SPAM: 3\r\n"
    b"\r\nX-Spam: body\r\n"
)


def test_every_copy_of_a_name_goes() -> None:
    assert remove_fields(MAIL, ["x-Spam"]) == b"Received: a\r\nSubject: x\r\nX-Spammy: no\r\n\r\nX-Spam: body\r\n"


def test_nothing_to_remove_is_the_same_object() -> None:
    assert remove_fields(MAIL, ["X-None"]) is MAIL
    assert remove_fields(MAIL, []) is MAIL
    assert prepend_fields(MAIL, []) is MAIL


def test_fields_beyond_the_limits_of_the_reader_go_too() -> None:
    raw = b"A: b\r\n" * 5000 + b"X-Spam: Yes\r\n" + b"B: " + b"x" * 2_000_000 + b"\r\nX-Spam: Yes\r\n\r\nbody"
    assert b"X-Spam" not in remove_fields(raw, ["X-Spam"])


@pytest.mark.timeout(120)
def test_removing_is_linear() -> None:
    raw = b"X-Spam: Yes\r\nA: b\r\n" * 100_000 + b"\r\n" + b"x" * 10_000_000
    assert len(remove_fields(raw, ["X-Spam"])) == len(raw) - 100_000 * len(b"X-Spam: Yes\r\n")


def test_some_copies_of_a_name_go() -> None:
    raw = b"Authentication-Results: ours; spf=pass\r\nAuthentication-Results: theirs; spf=pass\r\n\r\nx"
    kept = remove_where(raw, lambda name, whole: name == b"authentication-results" and b" ours;" in whole)
    assert kept == b"Authentication-Results: theirs; spf=pass\r\n\r\nx"


def test_a_mail_that_is_all_removed_fields_keeps_its_body() -> None:
    assert remove_fields(b"X-Spam: 1\r\nX-Spam: 2\r\n\r\nbody", ["X-Spam"]) == b"\r\nbody"
    assert remove_fields(b"X-Spam: 1", ["X-Spam"]) == b""


def test_fields_come_on_top_in_order() -> None:
    assert prepend_fields(MAIL, [("A", "1"), ("B", "2")]) == b"A: 1\r\nB: 2\r\n" + MAIL


@pytest.mark.parametrize(
    ("raw", "edited"),
    [
        (b"", b"A: 1\r\n\r\n"),
        (b"\r\nbody", b"A: 1\r\n\r\nbody"),
        (b"hello world\r\n", b"A: 1\r\n\r\nhello world\r\n"),
        # Its first line would continue our field.
        (b" folded\r\nB: 2\r\n\r\nx", b"A: 1\r\n\r\n folded\r\nB: 2\r\n\r\nx"),
        (b"\tdkim=pass\r\n\r\nx", b"A: 1\r\n\r\n\tdkim=pass\r\n\r\nx"),
        (b"From a@b Mon\r\nB: 2\r\n\r\nx", b"From a@b Mon\r\nA: 1\r\nB: 2\r\n\r\nx"),
        (b"B: 2", b"A: 1\r\nB: 2"),
        (b"B: 2\r\nbroken\r\n\r\nx", b"A: 1\r\nB: 2\r\nbroken\r\n\r\nx"),
    ],
)
def test_mails_without_a_proper_header_stay_correct(raw: bytes, edited: bytes) -> None:
    assert prepend_fields(raw, [("A", "1")]) == edited
    before, after = parse(raw), parse(edited)
    assert after.fields[0].value == "1"
    assert after.raw[after.body_offset :] == before.raw[before.body_offset :]
    assert [f.raw for f in after.fields[1:]] == [f.raw for f in before.fields]


@pytest.mark.parametrize("value", ["a\r\nBcc: x", "a\nb", "a\rb", "a\0b", "x" * 1000, "a " + "x" * 998])
def test_values_that_cannot_stand_are_refused(value: str) -> None:
    with pytest.raises(UsageError):
        render_field("X", value)


@pytest.mark.parametrize("name", ["", "A B", "A:", "Ä", "A\r\nB", "A\n", "x" * 77])
def test_names_that_cannot_stand_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        render_field(name, "x")


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("", b"X:\r\n"),
        ("a b", b"X: a b\r\n"),
        ("café", b"X: =?utf-8?B?Y2Fmw6k=?=\r\n"),
        ("a\x1cb", b"X: =?utf-8?B?YRxi?=\r\n"),
        ("x" * 100, b"X: " + b"x" * 100 + b"\r\n"),
    ],
)
def test_rendering(value: str, rendered: bytes) -> None:
    assert render_field("X", value) == rendered


@given(st.text(alphabet=st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=300))
@settings(deadline=None)
def test_what_is_rendered_is_one_field_and_reads_back(value: str) -> None:
    try:
        rendered = render_field("X-Test", value)
    except UsageError:
        assert max(map(len, value.split(" "))) > 900
        return
    assert all(len(line) <= 998 and line.strip() for line in rendered.removesuffix(b"\r\n").split(b"\r\n"))
    (field,) = parse(rendered + b"\r\n").fields
    assert field.raw == rendered
    assert field.value.split() == value.split()


@given(
    st.lists(
        st.sampled_from([b"X-Spam: y\r\n", b"A: b\r\n", b" fold\r\n", b"broken\r\n", b"\r\n", b"From x\r\n"]),
        max_size=8,
    ).map(b"".join)
)
@settings(deadline=None)
def test_removing_and_adding_touch_no_octet_of_the_body(raw: bytes) -> None:
    before = parse(raw)
    body = raw[before.body_offset :]
    removed = remove_fields(raw, ["X-Spam"])
    assert removed.endswith(body)
    assert not parse(removed).all("x-spam") or parse(removed).raw[parse(removed).body_offset :] != body
    added = prepend_fields(raw, [("A", "1")])
    assert added.endswith(body)
    assert parse(added).first("a") == "1"
