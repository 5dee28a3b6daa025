"""Replies of the next hop are read strictly, and enhanced codes are told apart from text (RFC 5321 §4.2, RFC 2034)."""

from __future__ import annotations

import pytest

from filterd.clients.smtp_reply import MAX_LINE_BYTES, MAX_LINES, ReplyParser
from filterd.errors import PeerError
from filterd.model.reply import Reply

READ = [
    (b"250 2.1.0 Ok\r\n", Reply(code=250, enhanced="2.1.0", text="Ok")),
    (b"250 Ok\r\n", Reply(code=250, enhanced=None, text="Ok")),
    (b"250\r\n", Reply(code=250, enhanced=None, text="")),
    (b"250 2.0.0\r\n", Reply(code=250, enhanced="2.0.0", text="")),
    (b"550-5.7.1 one\r\n550 5.7.1 two\r\n", Reply(code=550, enhanced="5.7.1", text="one\ntwo")),
    (b"550-5.7.1 one\r\n550 two\r\n", Reply(code=550, enhanced="5.7.1", text="one\ntwo")),
    (b"550-5.7.1 one\r\n550 5.7.10 two\r\n", Reply(code=550, enhanced="5.7.1", text="one\n5.7.10 two")),
    # First digits disagree: the text stays as it is.
    (b"550 4.1.1 odd\r\n", Reply(code=550, enhanced=None, text="4.1.1 odd")),
    (b"354 go\r\n", Reply(code=354, enhanced=None, text="go")),
    ("550 5.1.1 没有此人\r\n".encode(), Reply(code=550, enhanced="5.1.1", text="没有此人")),
    (b"550 5.1.1 \xff\r\n", Reply(code=550, enhanced="5.1.1", text="\ufffd")),
]

REFUSED = [
    b"250 lone LF\n",
    b"250 lone\rCR\r\n",
    b"250 N\0UL\r\n",
    b"25 short\r\n",
    b"1000 long\r\n",
    b"150 class\r\n",
    b"650 class\r\n",
    b"250x\r\n",
    b"hello\r\n",
    b"250-one\r\n550 two\r\n",
    b"250 " + b"x" * MAX_LINE_BYTES + b"\r\n",
    b"250 " + b"x" * MAX_LINE_BYTES,
    b"250-x\r\n" * (MAX_LINES + 1),
]


@pytest.mark.parametrize(("octets", "reply"), READ)
def test_a_reply_is_read_whole_and_octet_by_octet(octets: bytes, reply: Reply) -> None:
    assert list(ReplyParser().feed(octets)) == [reply]
    parser = ReplyParser()
    replies = [found for octet in octets for found in parser.feed(bytes((octet,)))]
    assert replies == [reply]
    assert parser.is_empty


@pytest.mark.parametrize("octets", REFUSED)
def test_what_is_no_reply_is_refused(octets: bytes) -> None:
    with pytest.raises(PeerError):
        list(ReplyParser().feed(octets))


def test_pipelined_replies_come_in_order() -> None:
    parser = ReplyParser()
    assert [r.code for r in parser.feed(b"250-a\r\n250 b\r\n354 c\r\n55")] == [250, 354]
    assert not parser.is_empty
    assert [r.code for r in parser.feed(b"0 d\r\n")] == [550]


def test_a_reply_before_a_fault_counts() -> None:
    """Of an LMTP server's answers those that came are true, whatever follows them."""
    replies = ReplyParser().feed(b"250 a\r\n550 b\r\nwhat\r\n250 c\r\n")
    assert [next(replies).code, next(replies).code] == [250, 550]
    with pytest.raises(PeerError):
        next(replies)
