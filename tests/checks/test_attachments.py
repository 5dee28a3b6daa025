"""Files of a mail: kinds, names, archives; and that a bomb costs no more than its budget."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.checks import attachments
from filterd.checks.attachments import closed, kinds, names, office, zips
from filterd.checks.attachments.search import MAX_FINDINGS, Rules, Search
from filterd.model.message import Message, Part
from filterd.model.verdict import Outcome, Verdict
from tests.checks.contexts import context, message, transaction

pytestmark = pytest.mark.slow

PE = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(40)
NAMELESS = names.read(None)


@dataclass(frozen=True, kw_only=True)
class Limits:
    block_extensions: tuple[str, ...] = ()
    allow_extensions: tuple[str, ...] = ()
    max_unpacked_bytes: int = 16 << 20
    max_entries: int = 2_000
    max_depth: int = 4


RULES = Rules(Limits())


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def part(content: bytes, filename: str | None = None, content_type: str = "application/octet-stream") -> Part:
    return Part(
        path="2", content_type=content_type, disposition="attachment", filename=filename, charset=None, content=content
    )


def mail(*parts: Part) -> Message:
    said = message()
    return Message(raw=said.raw, body_offset=0, fields=said.fields, parts=parts, texts=(), links=())


def judged(content: bytes, filename: str | None = None, content_type: str = "", rules: Rules = RULES) -> Verdict:
    return attachments.judge(mail(part(content, filename, content_type)), rules)


def codes(verdict: Verdict) -> list[str]:
    return [f.code.removeprefix("attachment.") for f in verdict.findings]


# --- Kinds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PE, "pe"),
        (b"MZ" + bytes(58) + (4_000).to_bytes(4, "little") + bytes(100), "pe"),
        (b"MZ\x90\0" + bytes(100), "dos"),
        (b"MZ is how this text begins, and it goes on for more than sixty-four characters, does it not?", None),
        (b"MZ", None),
        (b"\x7fELF\x02\x01", "elf"),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01", "macho"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02", "macho"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", "class"),
        (b"\xca\xfe", None),
        (b"ITSF\x03\0\0\0", "chm"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "ole"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100) + b"\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0F", "msi"),
        (bytes(2_048) + b"conectix" + bytes(504), "vhd"),
        (bytes(32_768) + b"\x01CD001", "iso"),
        (bytes(34_816) + b"\0NSR02", "udf"),
        ("\ufeffWindows Registry Editor Version 5.00\r\n".encode("utf-16-le"), "registry"),
        (b"\xef\xbb\xbf  [InternetShortcut]\r\nURL=x", "url_file"),
        (b"<html><head><HTA:APPLICATION id=x>", "hta"),
        (b"<?xml version='1.0'?>\n<svg>", "svg"),
        (b"<?xml version='1.0'?><html><svg><script>", None),
        (b"%PDF-1.4", "pdf"),
        (b"plain words", None),
        (b"", None),
    ],
)  # fmt: skip
def test_kinds(content: bytes, kind: str | None) -> None:
    assert kinds.sniff(content) == kind


# --- Names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.exe", "exe"),
        ("A.EXE", "exe"),
        ("a.exe ", "exe"),
        ("a.exe. . ", "exe"),
        ("a.exe\u3000", "exe"),
        ("a.e\u200bxe", "exe"),
        ("发票．ｅｘｅ", "exe"),
        ("发票。exe", "exe"),
        ("folder/a.exe", "exe"),
        ("..\\a.exe", "exe"),
        ("a.exe::$DATA", "exe"),
        ("a.exe\0.pdf", "exe"),
        ('"a.exe"', "exe"),
        ("a\r\n.exe", "exe"),
        ("x" * 100_000 + ".exe", "exe"),
    ],
)
def test_every_reading_of_a_name_counts(name: str, extension: str) -> None:
    assert extension in names.read(name).extensions
    assert codes(judged(b"", name))[:1] == ["type.blocked"]


@pytest.mark.parametrize("name", [None, "", "exe", ".", "a.exe.txt", "readme", "a.ending-too-long-to-be-an-extension"])
def test_other_names_say_nothing(name: str | None) -> None:
    assert names.BLOCKED.isdisjoint(names.read(name).extensions)
    assert judged(b"words", name).outcome is Outcome.CLEAN


@pytest.mark.parametrize(
    "name", ["a\u202efdp.exe", "a.pdf" + " " * 40 + ".exe", "a.pdf.exe", "a.exe\0.pdf", "照片.jpg.scr"]
)
def test_a_name_made_to_deceive_is_a_disguise(name: str) -> None:
    assert codes(judged(b"", name)) == ["type.blocked", "type.disguised"]


def test_hebrew_with_honest_marks_deceives_nobody() -> None:
    assert judged(b"%PDF-", "\u200fדוח.pdf").outcome is Outcome.CLEAN


# --- What the operator may change ---------------------------------------------------------------------------------


def test_an_operator_adds_and_removes_extensions() -> None:
    rules = Rules(Limits(block_extensions=(".PDF",), allow_extensions=("exe", "*.js")))
    assert codes(judged(b"%PDF-", "a.pdf", rules=rules)) == ["type.blocked"]
    assert judged(PE, "a.exe", rules=rules).findings == ()
    assert judged(b"1", "a.js", rules=rules).findings == ()
    assert codes(judged(b"1", "a.vbs", rules=rules)) == ["type.blocked"]


# --- Declared against real ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name", "content_type", "expected"),
    [
        (PE, "a.exe", "image/png", ["type.blocked", "type.disguised"]),
        (PE, "a.exe", "application/octet-stream", ["type.blocked"]),
        (PE, None, "application/pdf", ["type.blocked", "type.disguised"]),
        (PE, "a", "application/octet-stream", ["type.blocked"]),
        (b"#!/bin/sh\n", "a.pdf", "application/pdf", ["type.blocked", "type.disguised"]),
        (b"#!/bin/sh\n", "a.txt", "text/plain", []),
        (b"#!/bin/sh\n", "a", "application/octet-stream", []),
        (b"REGEDIT4\r\n", "a.reg", "text/plain", ["type.blocked"]),
        (b"REGEDIT4\r\n", "a.txt", "text/plain", []),
        (b"<svg><script>", "a.svg", "image/svg+xml", ["type.blocked"]),
        (b"<svg><script>", "a.png", "image/png", ["type.blocked", "type.disguised"]),
        (b"<svg><script>", None, "text/html", []),
        (b"%PDF-", "a.png", "image/png", []),
    ],
)
def test_declared_against_real(content: bytes, name: str | None, content_type: str, expected: list[str]) -> None:
    assert codes(judged(content, name, content_type)) == expected


# --- Archives -----------------------------------------------------------------------------------------------------


def test_java_is_known_by_what_is_in_it() -> None:
    verdict = judged(zipped(("META-INF/MANIFEST.MF", b"x"), ("A.class", b"\xca\xfe\xba\xbe\0\0\0\x34")), "a.pdf")
    assert ("kind", "jar") in {pair for f in verdict.findings for pair in f.why}
    assert {"type.blocked", "type.disguised"} == set(codes(verdict))


@pytest.mark.parametrize(
    ("entries", "macro"),
    [
        (["[Content_Types].xml", "xl/vbaProject.bin"], "vba"),
        (["[Content_Types].xml", "xl/macrosheets/sheet1.xml"], "xlm"),
        (["mimetype", "Basic/Standard/Module1.xml"], "basic"),
        (["mimetype", "Basic/"], None),
        (["scripts/build.py", "README"], None),
        (["[Content_Types].xml", "word/document.xml"], None),
    ],
)
def test_macros_of_documents(entries: list[str], macro: str | None) -> None:
    assert office.zip_macro(entries) == macro


def test_macros_and_passwords_are_seen_inside_archives() -> None:
    vba = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000) + "_VBA_PROJECT".encode("utf-16-le")
    locked = b"7z\xbc\xaf\x27\x1c\0\4" + bytes(4) + (0).to_bytes(8, "little") + (9).to_bytes(8, "little") + bytes(4)
    verdict = judged(zipped(("a.doc", vba), ("b.7z", locked + b"\x17\x06\xf1\x07\x01" + bytes(9))), "a.zip")
    assert codes(verdict) == ["macro.present", "archive.encrypted"]


def test_a_name_with_macros_is_said_with_less_certainty() -> None:
    (finding,) = judged(b"PK", "a.docm").findings
    assert (finding.code, finding.confidence) == ("attachment.macro.present", 0.7)


def rar4(kind: int, flags: int) -> bytes:
    return b"Rar!\x1a\x07\0\0\0" + struct.pack("<BHH", kind, flags, 13) + bytes(9)


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("rar", rar4(0x73, 0x80), True),
        ("rar", rar4(0x73, 0), False),
        ("rar", rar4(0x74, 0x04), True),
        ("rar", b"Rar!\x1a\x07\x01\0", False),
        ("rar", b"Rar!\x1a\x07\x01\0" + b"\xff" * 4_000, False),
        ("rar", b"Rar!\x1a\x07\0" + bytes(4_000), False),
        # A file header with an extra record of type 1.
        ("rar", b"Rar!\x1a\x07\x01\0" + bytes(4) + b"\x0b\x02\x01\x05" + bytes(3) + b"\x04\x01" + bytes(3), True),
        ("7z", b"7z\xbc\xaf\x27\x1c" + bytes(26) + b"\x06\xf1\x07\x01", False),
        ("7z", b"", False),
        ("gzip", b"\x1f\x8b\x08", False),
    ],
)
def test_passwords_of_closed_archives(kind: str, content: bytes, expected: bool) -> None:
    assert closed.is_encrypted(kind, content) is expected


def test_octets_in_front_and_behind_hide_no_entry() -> None:
    inner = zipped(("a.js", b"1"))
    assert [e.name for e in zips.read(b"prefix" * 9 + inner + b"suffix" * 9, 10).entries] == ["a.js"]
    (entry,) = zips.read(b"prefix" * 9 + inner, 10).entries
    assert zips.inflate(b"prefix" * 9 + inner, entry, 10).content == b"1"


def test_large_sizes_are_read_from_the_extra_field() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a.js", "w", force_zip64=True) as entry:
        entry.write(b"12345")
    (found,) = zips.read(out.getvalue(), 10).entries
    assert zips.inflate(out.getvalue(), found, 99).content == b"12345"


def test_chinese_names_of_entries_are_read_with_and_without_the_flag() -> None:
    raw = zipped(("合同.exe", b"1"))
    assert zips.read(raw, 1).entries[0].name == "合同.exe"
    gbk = "合同.exe".encode("gb18030")
    raw = zipped(("x" * len(gbk), b"1")).replace(b"x" * len(gbk), gbk)
    assert zips.read(raw, 1).entries[0].name == "合同.exe"


def test_empty_deflate_blocks_in_front_hide_no_program() -> None:
    empty = b"\x00\x00\x00\xff\xff"
    body = empty * 2_000 + b"\x01" + struct.pack("<HH", len(PE), 0xFFFF - len(PE)) + PE
    stored = zipped(("a.txt", body), method=zipfile.ZIP_STORED)
    raw = bytearray(stored)
    for magic, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        raw[raw.find(magic) + at] = 8
    assert codes(judged(bytes(raw), "a.zip")) == ["type.blocked", "type.disguised"]


@pytest.mark.parametrize("size", range(0, 200, 7))
def test_a_cut_archive_is_never_clean_and_never_raises(size: int) -> None:
    raw = zipped(("a.txt", b"hello"), ("b.txt", b"hello"))
    if size < 4:
        assert judged(raw[:size]).outcome is Outcome.CLEAN
    else:
        assert codes(judged(raw[:size])) == ["archive.unscannable"]


@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 255))
@settings(deadline=None, max_examples=200)
def test_any_octets_are_judged(octets: bytes, at: int, value: int) -> None:
    raw = bytearray(zipped(("a.zip", zipped(("b.txt", b"hello")))))
    raw[at % len(raw)] = value
    for start in (bytes(raw), bytes(raw[:100]), b"Rar!\x1a\x07\x01\0", b"Rar!\x1a\x07\0", b"7z\xbc\xaf\x27\x1c"):
        judged(start + octets, "a.zip")


# --- Bombs: counted, not timed ------------------------------------------------------------------------------------


@pytest.fixture
def inflated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many octets each call of inflate gave."""
    given_out: list[int] = []
    real = zips.inflate

    def counted(content: bytes, entry: zips.Entry, most: int) -> zips.Inflated:
        found = real(content, entry, most)
        given_out.append(len(found.content))
        return found

    monkeypatch.setattr(zips, "inflate", counted)
    return given_out


def overlapping(count: int) -> bytes:
    """Many entries that share one body of zeros."""
    one = zipped(("0", bytes(1 << 20)))
    at = one.find(b"PK\x01\x02")
    end = one.find(b"PK\x05\x06")
    directory = one[at:end] * count
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), at, 0)
    return one[:at] + directory + tail


def test_overlapping_entries_are_said_and_not_inflated(inflated: list[int]) -> None:
    verdict = judged(overlapping(1_000), "a.zip")
    assert ("limit", "overlap") in verdict.findings[0].why
    assert inflated == []


def test_an_overlapping_archive_still_shows_its_names() -> None:
    one = zipped(("a.js", b"1"))
    at, end = one.find(b"PK\x01\x02"), one.find(b"PK\x05\x06")
    twice = one[at:end] * 2
    raw = one[:at] + twice + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(twice), at, 0)
    assert codes(judged(raw, "a.zip")) == ["archive.unscannable", "type.blocked"]


def test_sixty_thousand_entries_are_read_up_to_the_limit(inflated: list[int]) -> None:
    raw = zipped(*((f"{n}.txt", b"") for n in range(60_000)), method=zipfile.ZIP_STORED)
    search = Search(RULES)
    search.file(raw, NAMELESS, "", "2")
    assert [f.why for f in search.findings.values()] == [(("limit", "entries"),)]
    assert (search.entries_left, len(inflated)) == (0, 2_000)


def test_entries_of_all_archives_of_a_mail_share_one_budget() -> None:
    one = zipped(*((f"{n}.txt", b"") for n in range(1_500)), method=zipfile.ZIP_STORED)
    verdict = attachments.judge(mail(part(one), part(one)), RULES)
    assert [f.why for f in verdict.findings] == [(("limit", "entries"),)]


def test_forty_deep_stops_at_the_depth(inflated: list[int]) -> None:
    raw = b"x"
    for _ in range(40):
        raw = zipped(("a.zip", raw), method=zipfile.ZIP_STORED)
    assert [f.why for f in judged(raw).findings] == [(("limit", "depth"), ("depth", "4"))]
    assert len(inflated) == 8


def test_an_archive_that_contains_itself_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = zipped(("self.zip", b"PK\x03\x04" + bytes(99)))
    calls: list[int] = []

    def droste(_content: bytes, _entry: zips.Entry, most: int) -> zips.Inflated:
        calls.append(most)
        return zips.Inflated(raw[:most], is_whole=True)

    monkeypatch.setattr(zips, "inflate", droste)
    assert ("limit", "depth") in judged(raw).findings[0].why
    assert len(calls) == 8


def test_a_nested_bomb_stops_at_the_ratio_and_the_bytes(inflated: list[int]) -> None:
    bomb = zipped(("a.zip", b"PK\x03\x04" + bytes(64 << 20)))
    verdict = judged(zipped(*((f"{n}.zip", bomb) for n in range(30))), "a.zip")
    assert {value for f in verdict.findings for key, value in f.why if key == "limit"} == {"ratio", "bytes"}
    assert sum(inflated) <= RULES.max_unpacked_bytes


def test_a_spent_budget_inflates_nothing() -> None:
    raw = zipped(("a.txt", bytes(1_000)))
    (entry,) = zips.read(raw, 1).entries
    assert zips.inflate(raw, entry, 0) == zips.Inflated(b"", is_whole=False)


def test_a_flat_bomb_is_said_though_nobody_inflates_it(inflated: list[int]) -> None:
    one = zipped(("0.bin", bytes(128 << 20)))
    assert [f.why for f in judged(one, "a.zip").findings] == [(("limit", "ratio"),)]
    assert sum(inflated) <= kinds.HEAD_BYTES


def test_declared_sizes_that_cannot_be_are_a_lie() -> None:
    raw = bytearray(zipped(("a.txt", bytes(range(256)) * 99), method=zipfile.ZIP_STORED))
    at = raw.find(b"PK\x01\x02")
    raw[at + 24 : at + 28] = (10).to_bytes(4, "little")
    assert [f.why for f in judged(bytes(raw)).findings] == [(("limit", "size"),)]


def test_a_thousand_attachments_give_so_many_findings_of_a_code_and_no_more() -> None:
    parts = tuple(
        Part(path=str(n), content_type="", disposition=None, filename="a.docm", charset=None, content=b"")
        for n in range(999)
    )
    verdict = attachments.judge(mail(*parts, part(PE, "a.exe")), RULES)
    assert codes(verdict) == ["macro.present"] * MAX_FINDINGS + ["type.blocked"]


def test_of_ten_megabytes_only_the_marks_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    real = kinds._text

    def counted(head: bytes) -> str | None:
        looked.append(len(head))
        return real(head)

    monkeypatch.setattr(kinds, "_text", counted)
    assert judged(b"QUJD" * (10 << 18), "a.bin").outcome is Outcome.CLEAN
    assert looked == [kinds.HEAD_BYTES]


# --- The check ----------------------------------------------------------------------------------------------------


async def test_the_check_runs_for_every_direction_and_keeps_names_to_itself() -> None:
    check = attachments.make(Limits(), timeout_s=5)
    assert (check.name, check.needs, check.deadline_s) == ("attachments", (), 5)
    verdict = await check.run(context(message=mail(part(PE, "Secret-Name.pdf.exe"))))
    assert codes(verdict) == ["type.blocked", "type.disguised"]
    assert "ecret" not in repr(verdict)
    assert {f.signal for f in verdict.findings} == {"attachment"}
    assert {f.code for f in verdict.findings} <= {code.code for code in attachments.CODES}


async def test_large_mail_is_judged_in_a_thread_just_the_same() -> None:
    check = attachments.make(Limits(), timeout_s=5)
    large = context(message=mail(part(PE, "a.exe")), transaction=transaction(size_bytes=2_000_000))
    assert codes(await check.run(large)) == ["type.blocked"]


def test_the_same_file_in_another_reading_is_said_once() -> None:
    first = part(PE, "a.exe")
    other = Part(path="~2", content_type="", disposition=None, filename="a.exe", charset=None, content=PE)
    assert codes(attachments.judge(mail(first, other), RULES)) == ["type.blocked"]
