"""What no mail program sends, through the real chain: a verdict or a clear refusal, never a stumble, never a lost mail.

FAULTS rows 28, 42-46, 54; MAIL-PATH 4j 2. Whatever is answered 250 must arrive, and below the added fields it must be
what Postfix would have delivered without filterd. That filterd's log holds no traceback is checked at every node's end.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from tests.e2e import letters
from tests.e2e.site import ALICE, CUSTOMER, Site
from tests.kit.client import Letter, Reply
from tests.kit.mailbox import Arrived
from tests.kit.node import Node

ADDED = ("received", "x-filterd-id")
HEAD = b"From: <alice@corp.example>\r\nTo: <customer@customers.example>\r\nSubject: x\r\n"
MIME = HEAD + b"MIME-Version: 1.0\r\n"
MIXED = MIME + b"Content-Type: multipart/mixed; "
OURS = b"From: <alice@corp.example>\r\n"


def _nested(depth: int) -> bytes:
    out = [MIME]
    for level in range(depth):
        out.append(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level))
    out.append(b"Content-Type: text/plain\r\n\r\nat the bottom\r\n")
    out += [b"--b%d--\r\n" % level for level in reversed(range(depth))]
    return b"".join(out)


def _parts(count: int) -> bytes:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\npart\r\n"
    return MIME + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * count + b"--b--\r\n"


def _charset(name: bytes, text: bytes) -> bytes:
    return MIME + b"Content-Type: text/plain; charset=" + name + b"\r\n\r\n" + text + b"\r\n"


def _noise(size: int, seed: int) -> bytes:
    """Octets at random, without CR and LF of their own, in lines."""
    dice = random.Random(seed)
    lines = [bytes(dice.choice(range(1, 256)) for _ in range(200)) for _ in range(size // 200)]
    return b"\r\n".join(line.replace(b"\r", b"r").replace(b"\n", b"n") for line in lines) + b"\r\n"


BAD: dict[str, bytes] = {
    "no header, no body": b"",
    "only an empty line": b"\r\n",
    "body without header": b"\r\nHello\r\n",
    "header without body": HEAD,
    "no header at all": b"Hello there, this is no field\r\nand no line is empty\r\n",
    "header of one line without colon": b"Subject x\r\n\r\nbody\r\n",
    "first line continues nothing": b" folded from nowhere\r\nSubject: x\r\n\r\nbody\r\n",
    "space before the colon": b"From : <alice@corp.example>\r\nSubject : x\r\n\r\nbody\r\n",
    "two From, no Date": b"From: a@b.example\r\nFrom: <c@d.example>\r\n\r\nbody\r\n",
    "NUL in the body": HEAD + b"\r\na\0b\0\0c\r\n",
    "NUL in the header": b"From: <alice@corp.example>\r\nSubject: a\0b\r\n\r\nbody\r\n",
    "8 bits in the header": "From: <alice@corp.example>\r\nSubject: 您好 é\r\n\r\nbody\r\n".encode("gb18030"),
    "not UTF-8 in the header": b"From: \xff\xfe <alice@corp.example>\r\nSubject: \x80\x81\r\n\r\nbody\r\n",
    "controls in the header": OURS + b"Subject: a\x1b[31m\x07\x1cBcc: x@y.example\r\n\r\nbody\r\n",
    "boundary missing": MIME + b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\ntext\r\n",
    "boundary never ends": MIME + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\ntext\r\n',
    "boundary twice": MIXED + b'boundary="a"; boundary="b"\r\n\r\n--a\r\n\r\n1\r\n--b\r\n\r\n2\r\n',
    "boundary empty": MIME + b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\ntext\r\n',
    "multipart in base64": MIXED + b"boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\nLS1iDQo=\r\n",
    "base64 broken": MIME + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n=A=B!!\xff\r\nQ\r\n",
    "quoted-printable broken": MIME + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ=\xff=0\r\n=\r\n=",
    "encoding unknown": MIME + b"Content-Transfer-Encoding: x-rot13\r\n\r\nuryyb\r\n",
    "300 levels": _nested(300),
    "5,000 levels": _nested(5000),
    "20,000 parts": _parts(20_000),
    "message in message": MIME + b"Content-Type: message/rfc822\r\n\r\n" * 400 + b"bottom\r\n",
    "charset unknown": _charset(b"nope", b"caf\xe9"),
    "charset idna": _charset(b"idna", b"\xff\xfe"),
    "charset undefined": _charset(b"undefined", b"x"),
    "charset utf-7": _charset(b"utf-7", b"+ZeVnLA-"),
    "charset utf-16": _charset(b"utf-16", b"\xff\xfeh\0i\0"),
    "charset NUL": _charset(b"\0", b"x"),
    "charset gbk, half a character": _charset(b"gbk", "您好".encode("gbk") + b"\xc4"),
    "2,000 parentheses": b"From: " + b"(" * 2000 + b"\r\nMessage-ID: <[\r\nTo: =?utf-8?q?=20?=@\r\n\r\nbody\r\n",
    "encoded words broken": OURS + b"Subject: =?utf-8?b?w6k?= =?nope?q?=FF?= =?utf-8?x?a?=\r\n\r\nbody\r\n",
    "5,000 header fields": b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\nbody\r\n",
    "header of a megabyte": HEAD + b"X-Long: " + b"\r\n ".join([b"z" * 900] * 1100) + b"\r\n\r\nbody\r\n",
    "html unclosed": MIME + b"Content-Type: text/html\r\n\r\n" + b"<a " * 20_000 + b"<!--" * 20_000 + b"\r\n",
    "file name tricks": MIME
    + b"Content-Type: application/octet-stream; name*0*=utf-8''%E6; name*1=../../x\r\n"
    + b'Content-Disposition: attachment; filename="a\\"b\r\n .exe"; filename*=nope\'\'%FF%00.txt\r\n\r\nx\r\n',
    "noise": _noise(20_000, 1),
    "noise below a header": MIME + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + _noise(20_000, 2),
    "a line of a megabyte": HEAD + b"\r\n" + b"x" * 1_000_000 + b"\r\n",
    "combining marks": _charset(b"utf-8", ("e" + "\u0301" * 20_000).encode()),
    "looks like SMTP": HEAD + b"\r\nMAIL FROM:<x@y.example>\r\nDATA\r\nQUIT\r\n.\r\n..\r\n",
}  # fmt: skip

# cleanup(8): local_header_rewrite_clients.
_MADE = re.compile(rb"^(Message-Id: <\d{14}\.[0-9A-Z]+@mail\.corp\.example>|Date: [^\r]*\(UTC\))\r\n", re.MULTILINE)


@pytest.fixture(scope="module")
def node(make_module_node: Callable[..., Node]) -> Node:
    # One text to a thousand strangers is a run, if nobody says that this site may.
    node = make_module_node({"agreement": {"hold_outbound": "reject"}, "rate": {"drip_strangers_month": 5000}})
    node.start()
    return node


def _through(site: Site, port: str, letter: Letter) -> tuple[Reply, list[Arrived]]:
    sender = site.sender(ALICE, through=port)
    reply = sender.send(letter)
    sender.close()
    site.postfix.wait_empty()
    arrived = site.postfix.elsewhere.read()
    for mail in arrived:
        mail.file.unlink()
    return reply, arrived


def _same(plain: list[Arrived], ours: list[Arrived]) -> None:
    """What both delivered is the same below the added fields, but for what Postfix makes up where it is missing."""
    made_ours, made_plain = ([_MADE.sub(b"", mail.below(*ADDED)) for mail in mails] for mails in (ours, plain))
    assert made_ours == made_plain


@pytest.mark.e2e
@pytest.mark.parametrize("name", BAD)
def test_bad_mail_gets_a_verdict_and_arrives_as_it_was(site: Site, node: Node, name: str):
    letter = Letter(sender=ALICE, recipients=(CUSTOMER,), raw=BAD[name], mail_parameters="BODY=8BITMIME")
    before = len(node.events("decided"))
    reply, ours = _through(site, "submission", letter)
    print(f"{name}: {reply.code} {reply.enhanced}, {len(ours)} arrived")
    if reply.code == 250:
        assert len(ours) == 1
        _, plain = _through(site, "plain", letter)
        _same(plain, ours)
    else:
        # In so many words, and for good: nobody has it sent again for days.
        assert reply.code // 100 == 5
        assert reply.enhanced.startswith("5.")
        assert ours == []
    (decided,) = node.events("decided")[before:]
    about = [event["event"] for event in node.events() if event["tx"] == decided["tx"]]
    assert about[-1] == ("delivered" if reply.code == 250 else "refused")
    assert node.events("troubled") == []


@pytest.mark.e2e
def test_a_lone_line_end_does_not_make_two_mails_of_one(site: Site, node: Node):
    """SMTP smuggling: Postfix mends what a login sends (`smtpd_forbid_bare_newline` of the snippet)."""
    body = b"first\n.\nMAIL FROM:<alice@corp.example>\nRCPT TO:<x@customers.example>\nDATA\nsecond\n.\nthird\r\n"
    letter = Letter(sender=ALICE, recipients=(CUSTOMER,), raw=HEAD + b"\r\n" + body)
    reply, ours = _through(site, "submission", letter)
    assert reply.code == 250, reply
    assert len(ours) == 1
    assert ours[0].raw.endswith(b"third\r\n")
    assert b"second\r\n" in ours[0].raw


@pytest.mark.e2e
def test_thirty_megabytes(site: Site, node: Node):
    """Beyond what the scanner takes (26 MB): said so in the stream, and passed on whole."""
    body = b"\r\n".join([b"Zm9vYmFy" * 9] * 430_000)
    raw = letters.clean(ALICE, CUSTOMER, tag="large") + b"\r\n" + body + b"\r\n"
    assert len(raw) > 30_000_000
    reply, ours = _through(site, "submission", Letter(sender=ALICE, recipients=(CUSTOMER,), raw=raw))
    print(f"{len(raw)} octets: {reply}")
    assert reply.code == 250, reply
    assert [mail.below(*ADDED) == raw for mail in ours] == [True]
    findings = [f["code"] for check in node.events("decided")[-1]["checks"] for f in check["findings"]]
    assert "virus.unscannable.size" in findings


@pytest.mark.e2e
def test_too_large_is_refused_by_whoever_says_so_first(site: Site, node: Node):
    sender = site.sender(ALICE)
    reply = sender.connect().ask(f"MAIL FROM:<{ALICE}> SIZE=99999999")
    sender.close()
    assert (reply.code, reply.enhanced) == (552, "5.3.4")


@pytest.mark.e2e
def test_a_thousand_recipients(site: Site, node: Node):
    """All of them get it; volume alone is behaviour, and breaches nothing."""
    everybody = tuple(f"r{n}@wire.example" for n in range(1000))
    raw = letters.clean(ALICE, "list@wire.example", tag="thousand")
    site.wire.forget()
    breaches = len(node.rows("violation.recorded"))
    sender = site.sender(ALICE)
    reply = sender.send(Letter(sender=ALICE, recipients=everybody, raw=raw))
    sender.close()
    assert reply.code == 250, reply
    site.postfix.wait_empty()
    taken = [rcpt.split(b"<")[1].split(b">")[0].decode() for mail in site.wire.taken for rcpt in mail.rcpts]
    print(f"1,000 recipients: {len(taken)} reached in {len(site.wire.taken)} transactions")
    assert sorted(taken) == sorted(everybody)
    assert node.events("decided")[-1]["recipients"]["count"] == 1000
    assert len(node.rows("violation.recorded")) == breaches
