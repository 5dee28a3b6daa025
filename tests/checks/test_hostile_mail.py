"""What a sender can do to the reader and the checks at will: each of these once ended a process, held the event loop
for seconds, made a check raise, or hid an author or a file."""

from __future__ import annotations

import asyncio
import io
import unicodedata
import zipfile
from collections.abc import Callable
from encodings import punycode
from types import SimpleNamespace
from typing import Any

import pytest

from filterd.checks import attachments, dmarc_record, links, terms
from filterd.checks.attachments import names as file_names
from filterd.checks.dkim import keys
from filterd.checks.dkim.fate import Fate
from filterd.checks.links import place
from filterd.checks.sender_fields import MAX_MAILBOXES, mailboxes
from filterd.checks.spec import skipped
from filterd.checks.spf_query import MAX_RECORDS_BYTES, Answer, Questions, check_host, read_client
from filterd.config.checks import AttachmentsConfig
from filterd.errors import PeerError
from filterd.mail import authres, charset, content, params, second, transfer
from filterd.mail.author import author
from filterd.mail.names import canonical_domain
from filterd.mail.parse import parse
from filterd.model.verdict import Outcome
from filterd.ports import Asked, DnsAnswer
from tests.checks.contexts import context

pytestmark = pytest.mark.slow

FROM = b"From: a@b.example\r\n"
LEAF = b"Content-Type: text/plain\r\n\r\n"


def nested(depth: int, more: bytes = b"", body: bytes = b"x") -> bytes:
    """A mail of multiparts in multiparts, none of which ends."""
    one = b"Content-Type: multipart/mixed; boundary=b%d\r\n" + more + b"\r\n--b%d\r\n"
    return FROM + b"".join(one % (n, n) for n in range(depth)) + LEAF + body


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    calls: list[int] = []
    true: Callable[..., Any] = getattr(module, name)

    def counting(*args: Any) -> Any:
        calls.append(1)
        return true(*args)

    monkeypatch.setattr(module, name, counting)
    return calls


# --- The reader -------------------------------------------------------------------------------------------------------


def test_the_second_parser_never_sees_what_overruns_its_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(second, "parse_email_tree", lambda *_, **__: calls.append(1))
    second.other_parts(nested(150), [], 10)
    assert len(calls) == 1
    second.other_parts(nested(60_000), [], 10)
    second.other_parts(nested(60_000).replace(b"multipart", b"MultiPart"), [], 10)
    assert len(calls) == 1


@pytest.mark.parametrize("encoding", [b"x-uuencode", b"quoted-printable"])
def test_encodings_of_composites_are_undone_a_few_times(monkeypatch: pytest.MonkeyPatch, encoding: bytes) -> None:
    calls = counted(monkeypatch, transfer, "decode")
    head = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
    found = parse(FROM + head * 45 + LEAF + b"x\r\n" * 1_000)
    assert len(calls) < 200
    assert {"mime.encoding.composite", "mime.depth.exceeded"} <= set(found.defects)


@pytest.mark.parametrize("odd", [b" \r\nA: b\r\n", b"broken\r\nA: b\r\n"])
def test_other_readings_of_nested_parts_share_a_budget(monkeypatch: pytest.MonkeyPatch, odd: bytes) -> None:
    calls = counted(monkeypatch, content, "read")
    found = parse(nested(49, odd, b"x\r\n" * 100_000))
    assert len(calls) < 120
    assert "mime.parts.exceeded" in found.defects


class Looked(str):
    """A text that adds up how much of it was searched."""

    characters = 0

    def __contains__(self, part: object) -> bool:
        Looked.characters += len(self)
        return super().__contains__(part)  # type: ignore[operator]

    def __getitem__(self, key: Any) -> Looked:
        return Looked(super().__getitem__(key))


def test_texts_of_other_readings_are_compared_within_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    true = charset.decode_saying

    def decode(octets: bytes, label: str | None) -> tuple[str, str | None]:
        text, defect = true(octets, label)
        return Looked(text), defect

    monkeypatch.setattr(charset, "decode_saying", decode)
    monkeypatch.setattr(Looked, "characters", 0)
    odd = b"Content-Type: text/plain; charset=utf-8; charset=us-ascii; charset=latin1\r\n\r\n"
    parts = [LEAF + b"a" * 500_000] + [odd + b"a" * 60 + b"b%03d" % n + b"a" * 30 for n in range(450)]
    head = FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    raw = head + b"".join(b"--b\r\n" + p + b"\r\n" for p in parts)
    parse(raw)
    # Four times what is kept of texts, and the one look that goes beyond; without a budget it would be 450 looks.
    assert 4_000_000 <= Looked.characters < 6_000_000


def test_uuencode_does_not_grow() -> None:
    found = transfer.decode(b"begin 644 a\r\n" + b"_\r\n" * 1_000_000, "uuencode")
    assert len(found.content) <= 3_100_000
    assert found.defects == ("mime.uuencode.broken",)


def test_uuencode_is_read_past_a_checksum_letter() -> None:
    assert transfer.decode(b"begin 644 a\r\n#86)C?\r\n`\r\nend\r\n", "uuencode").content == b"abc"


@pytest.mark.timeout(120)
def test_many_parameters_in_pieces_are_linear() -> None:
    params.parse(b"text/plain; " + b"; ".join(b"a%d*0*=b" % n for n in range(100_000)))


@pytest.mark.parametrize("label", ["\ufdfa\ufdfb" * 127, "\xfc" * 250])
def test_a_long_label_is_refused_before_it_is_encoded(monkeypatch: pytest.MonkeyPatch, label: str) -> None:
    # The codec is plain Python and looks this up at each call.
    calls = counted(monkeypatch, punycode, "punycode_encode")
    with pytest.raises(PeerError):
        canonical_domain(label)
    assert calls == []
    assert canonical_domain("b\xfccher.example") == "xn--bcher-kva.example"
    assert len(calls) == 1


# --- Authors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filler", [b"A:\r\n" * 2_100, (b"A: " + b"x" * 900 + b"\r\n") * 1_200])
def test_an_author_behind_what_was_read_is_not_overlooked(filler: bytes) -> None:
    mail = parse(FROM + filler + b"From: ceo@bank.example\r\n\r\nx\r\n")
    assert author(mail).problem == "unread"
    assert [box.domain for box in mailboxes(mail, "from")] == [None, "b.example"]


def test_all_from_fields_together_are_read_up_to_a_limit() -> None:
    field = b"From: " + b", ".join(b"a%d@b.example" % n for n in range(60)) + b"\r\n"
    found = mailboxes(parse(field * 400 + b"\r\nx\r\n"), "from")
    assert len(found) <= MAX_MAILBOXES
    assert found[-1].domain is None


@pytest.mark.parametrize("written", ["mx.\r\n corp.example", "mx\r\n\t.corp.example", "mx.corp\r\n  .example"])
def test_an_id_that_is_folded_in_the_middle_is_ours(written: str) -> None:
    assert authres.is_own(f"Authentication-Results: {written}; dmarc=pass\r\n".encode(), "mx.corp.example")


# --- Records of strangers ---------------------------------------------------------------------------------------------


def test_caches_keep_no_large_records() -> None:
    before = keys._parse.cache_info().currsize
    assert keys.parse(b"p=" + b"A" * 60_000) is Fate.KEY_LARGE
    assert keys._parse.cache_info().currsize == before
    dmarc_record._read.cache_clear()
    start = b"v=DMARC1; p=reject; " + b"n" * dmarc_record.MAX_BYTES
    for number in range(5):
        dmarc_record.read_record((start, b"%d" % number))
    assert dmarc_record._read.cache_info().currsize == 1


class Endless:
    """Each record is full of addresses and includes the next."""

    def __init__(self) -> None:
        self.octets = 0

    def known(self, name: str, rdtype: str) -> DnsAnswer | None:
        return None

    async def query(self, name: str, rdtype: str) -> DnsAnswer:
        if rdtype != "TXT":
            return DnsAnswer(exists=False)
        number = int(name.split(".")[0][1:])
        addresses = " ".join(f"ip4:10.{number}.{n % 256}.1" for n in range(240))
        record = f"v=spf1 {addresses} include:i{number + 1}.evil.example".encode()
        self.octets += len(record)
        return DnsAnswer(records=((record,),))

    @property
    def asked(self) -> tuple[Asked, ...]:
        return ()


async def test_all_spf_records_together_are_bounded() -> None:
    dns, client = Endless(), read_client("192.0.2.7")
    assert client is not None
    said = await check_host(Questions(dns), client, "i0.evil.example", local_part="a", helo="h.example")
    assert said == Answer(result="permerror", problem="record")
    assert dns.octets < MAX_RECORDS_BYTES + 4_096


# --- Links and files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0x-1", "0-1.0.0.1", "1.2.3.0x+1", "0x1_0", "1_0.2.3.4"])
def test_numbers_that_are_no_address(host: str) -> None:
    assert place.read(f"http://{host}/") is None


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Disposition: filename=a.vbs",
        b"Content-Disposition: attachment; filename=a.vbs (a note)",
        b"Content-Disposition: attachment; filename=a.vbs x.txt",
        b"Content-Disposition: attachment; filename*=utf-8''a.txt; filename*0=a.vbs",
    ],
)
def test_names_that_some_readers_see(fields: bytes) -> None:
    verdict = attachments.judge(parse(FROM + fields + b"\r\n\r\nx\r\n"), attachments.Rules(AttachmentsConfig()))
    assert verdict.findings[0].code == "attachment.type.blocked"
    assert verdict.findings[0].why[0] == ("extension", "vbs")


@pytest.mark.parametrize("front", [b"x" * 5_000, b"%PDF-1.7\n" + b"x" * 5_000])
def test_a_zip_behind_other_octets(front: bytes) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.vbs", "x")
    head = b"Content-Disposition: attachment; filename=a.zip\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    verdict = attachments.judge(parse(FROM + head + front + packed.getvalue()), attachments.Rules(AttachmentsConfig()))
    assert verdict.outcome is Outcome.FOUND
    assert ("extension", "vbs") in verdict.findings[0].why


@pytest.mark.parametrize("filler", ["\ufdfa", ":", "\u200b", "\u0301\u0316", "\u00a0 "])
def test_little_of_a_name_is_normalised(monkeypatch: pytest.MonkeyPatch, filler: str) -> None:
    given: list[int] = []

    def normalize(form: str, text: str) -> str:
        given.append(len(text))
        return unicodedata.normalize(form, text)

    monkeypatch.setattr(file_names, "unicodedata", SimpleNamespace(normalize=normalize))
    file_names._compatible.cache_clear()
    for number in range(1_000):
        assert file_names.read(filler * 500 + f"{number}.txt").extensions[0] == "txt"
    # Its last characters, and each of them once.
    assert sum(given) < 64


async def test_a_long_subject_is_looked_at_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lists:
        async def current(self) -> tuple[Any, ...]:
            return (object(),)

    async def book(*_: object) -> object:
        return object()

    moved: list[Any] = []

    async def to_thread(act: Any, *_: Any) -> Any:
        moved.append(act)
        return skipped("terms", "1", "x")

    monkeypatch.setattr(terms.Shelf, "book", book)
    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    raw = b"From: a@b.example\r\nSubject: " + b"x" * 30_000 + b"\r\n\r\nx\r\n"
    check = terms.make(Lists(), timeout_s=5)
    await check.run(context(raw, message=parse(raw)))
    assert moved == [terms.judge]


async def test_long_links_are_looked_at_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Any] = []
    true = asyncio.to_thread

    async def to_thread(act: Any, *args: Any) -> Any:
        moved.append(act)
        return await true(act, *args)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    inner = "&".join(f"u=http://{n}.b.example/?u=//x" for n in range(64))
    raw = FROM + b"\r\n" + "\r\n".join(f"http://a{n}.example/?{inner}" for n in range(20)).encode()
    check = links.make()
    await check.run(context(raw, message=parse(raw)))
    assert moved == [links.judge]
