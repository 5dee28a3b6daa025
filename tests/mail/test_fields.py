"""The header block: which lines are fields, where the body starts, and what else could be read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.fields import nouns, sift, split
from filterd.mail.limits import DEFAULT, Limits

HEADERS = st.lists(
    st.sampled_from([b"A: b", b"C :d", b"Subject:", b" fold", b"\t", b"no field", b"From x", b":", b"\0", b"\xff: y"]),
    max_size=8,
).flatmap(lambda lines: st.sampled_from([b"\r\n", b"\n"]).map(lambda end: b"".join(line + end for line in lines)))


def test_fields_keep_their_octets_and_order() -> None:
    mail = b"Received: a\r\n\tby b\r\nsubject: x\r\nRECEIVED: c\r\n\r\nbody"
    block = split(mail)
    assert [whole for whole, *_ in block.fields] == [
        b"Received: a\r\n\tby b\r\n",
        b"subject: x\r\n",
        b"RECEIVED: c\r\n",
    ]
    assert mail[block.body :] == b"body"
    assert block.defects == ()
    found = nouns(block)
    assert [(f.name, f.value) for f in found] == [("Received", "a\tby b"), ("subject", "x"), ("RECEIVED", "c")]
    assert b"".join(f.raw for f in found) == mail[: -len(b"\r\nbody")]


@pytest.mark.parametrize(
    ("mail", "names", "body", "defects"),
    [
        (b"", [], b"", ()),
        (b"\r\nbody", [], b"body", ()),
        (b"\nbody", [], b"body", ()),
        (b"A: b", [b"A"], b"", ()),
        (b"A: b\r\n", [b"A"], b"", ()),
        (b"A: b\n\nbody", [b"A"], b"body", ()),
        (b"A: b\n\r\nbody\n\nmore", [b"A"], b"body\n\nmore", ()),
        (b"A : b\r\n\r\nx", [b"A"], b"x", ()),
        (b"A:\r\nB:\r\n\r\n", [b"A", b"B"], b"", ()),
        (b"From a@b Mon\r\nA: b\r\n\r\nx", [b"A"], b"x", ("header.mbox.from",)),
        (b">From a@b Mon\nA: b\n\nx", [b"A"], b"x", ("header.mbox.from",)),
        (b"A: b\r\nhello world\r\nC: d\r\n\r\nx", [b"A"], b"hello world\r\nC: d\r\n\r\nx", ("header.line.broken",)),
        (b"A: b\r\nDear friend: x\r\n\r\nx", [b"A"], b"Dear friend: x\r\n\r\nx", ("header.line.broken",)),
        (b"hello\r\n\r\nx", [], b"hello\r\n\r\nx", ("header.line.broken",)),
        (b": x\r\n\r\ny", [], b": x\r\n\r\ny", ("header.line.broken",)),
        (b"caf\xe9: x\r\n\r\ny", [], b"caf\xe9: x\r\n\r\ny", ("header.line.broken",)),
        (b" x: y\r\nA: b\r\n\r\nz", [], b" x: y\r\nA: b\r\n\r\nz", ("header.first.folded",)),
        (b"A: b\r\n \r\nC: d\r\n\r\nx", [b"A", b"C"], b"x", ("header.line.blank",)),
    ],
)
def test_where_the_body_starts(mail: bytes, names: list[bytes], body: bytes, defects: tuple[str, ...]) -> None:
    block = split(mail)
    assert [name for _, name, _, _ in block.fields] == names
    assert mail[block.body :] == body
    assert block.defects == defects


def test_a_line_of_blanks_is_told_with_the_other_reading() -> None:
    mail = b"A: b\r\n \t\r\nhidden text\r\n\r\nx"
    assert split(mail).blank == mail.index(b"hidden")


def test_stepping_over_a_broken_line_finds_the_fields_behind_it() -> None:
    mail = b"A: b\r\nno field\r\n more\r\nC: d\r\n\r\nx"
    block = split(mail)
    assert block.broken is not None
    rest, lines = sift(mail, block.broken, len(mail), DEFAULT)
    assert [name for _, name, _, _ in rest.fields] == [b"C"]
    assert lines == b"no field\r\n more\r\n"
    assert mail[rest.body :] == b"x"


def test_values_are_unfolded_and_decoded() -> None:
    mail = (
        b"Subject: =?utf-8?q?caf=C3=A9?=\r\n"
        b"X-Utf8: caf\xc3\xa9\r\n"
        b"X-Gbk: \xb2\xe2\xca\xd4\r\n"
        b"X-Latin: \xff\xfe\r\n"
        b"X-Null: a\0b\r\n"
        b"X-Sep: a\x1cBcc: x\r\n\r\n"
    )
    assert [f.value for f in nouns(split(mail))] == ["café", "café", "测试", "ÿþ", "a\0b", "a\x1cBcc: x"]


def test_limits_cut_the_view_and_not_the_body() -> None:
    few = Limits(fields=3, header_bytes=1000)
    block = split(b"A: b\r\n" * 5 + b"\r\nbody", limits=few)
    assert (len(block.fields), block.defects) == (3, ("header.fields.exceeded",))
    long = b"A: b\r\n" + b"B: " + b"x" * 2000 + b"\r\n\r\nbody"
    block = split(long, limits=few)
    assert ([name for _, name, _, _ in block.fields], block.defects) == ([b"A"], ("header.bytes.exceeded",))
    assert long[block.body :] == b"body"
    assert len(split(long, limits=None).fields) == 2


@given(HEADERS, st.sampled_from([b"", b"\r\nbody", b"\n"]))
@settings(deadline=None)
def test_fields_and_what_follows_are_the_whole_mail(header: bytes, rest: bytes) -> None:
    mail = header + rest
    block = split(mail)
    fields = b"".join(whole for whole, *_ in block.fields)
    assert fields in mail
    assert 0 <= block.body <= len(mail)
    # What is neither field nor body is a line of a mailbox file or the empty line.
    between = mail[: block.body].replace(fields, b"", 1) if fields else mail[: block.body]
    assert between.strip() == b"" or between.lstrip(b">").startswith(b"From ")
