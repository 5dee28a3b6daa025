"""In whose words mail is taken that waits in the next hop's place."""

from __future__ import annotations

import re

import pytest

from filterd.clients.relay_words import TakenWords
from filterd.model.reply import Reply

# Of Postfix's long ids: no vowels.
LONG = "[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]"
RAW = b"From: <a@x>\r\nMessage-ID: <new@mail.example>\r\n\r\nhello\r\n"
OLD = b"From: <a@x>\r\nMessage-ID: <old@mail.example>\r\n\r\nhello\r\n"
BOB, CAROL = b"bob@far.example", b"carol@far.example"


def said(*texts: str, recipient: bytes = BOB) -> str:
    words = TakenWords()
    for text in texts:
        words.hear(Reply(code=250, enhanced="2.0.0", text=text), OLD, (CAROL,))
    return words.say(RAW, recipient).text


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("Ok: queued as C5E9A3F0B1", r"Ok: queued as [0-9A-F]{10}"),
        ("Ok: queued as 4XbM2k0FQzW", f"Ok: queued as {LONG}{{11}}"),
        ("OK id=1tABcd-000000000Xy-1aBc", r"OK id=[0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4}"),
        ("4ANKHk1X012345 Message accepted for delivery", r"[0-9A-Za-z]{14} Message accepted for delivery"),
        ("<carol@far.example> 0lvXHTtVPWeTGQAAGHaMZQ Saved", r"<bob@far\.example> [0-9A-Za-z]{22} Saved"),
        ("<old@mail.example> [InternalId=9823749823] Queued", r"<new@mail\.example> \[InternalId=[0-9]{10}\] Queued"),
        ("ok 1730000000 qp 471123", r"ok [0-9]{10} qp [0-9]{6}"),
    ],
)
def test_the_words_are_the_next_hops_and_the_id_is_chance(text: str, shape: str) -> None:
    one, other = said(text), said(text)
    assert re.fullmatch(shape, one), one
    assert len({one, other, text}) == 3


def test_words_without_an_id_are_said_as_they_are() -> None:
    text = "from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 mail7.example.com took it"
    assert said(text) == text


def test_what_two_of_them_have_in_common_stays() -> None:
    """The beginning of such an id is the time."""
    one = said("Ok: queued as 4XbM2k0FQzW", "Ok: queued as 4XbM2k9TRzP")
    assert re.fullmatch(f"Ok: queued as 4XbM2k{LONG}{{3}}z{LONG}", one)
    # Of another length, the last one counts.
    assert re.fullmatch(r"Ok: queued as [0-9A-F]{10}", said("Ok: queued as 4XbM2k0FQzW", "Ok: queued as C5E9A3F0B1"))


def test_before_any_was_heard_they_are_those_of_postfix_and_no_two_alike() -> None:
    found = {said() for _ in range(50)}
    assert len(found) == 50
    assert all(re.fullmatch(r"Ok: queued as [0-9A-F]{10}", text) for text in found)


def test_code_and_enhanced_code_are_the_next_hops_too() -> None:
    words = TakenWords()
    words.hear(Reply(code=250, enhanced=None, text="OK"), RAW, ())
    assert words.say(RAW, BOB) == Reply(code=250, enhanced=None, text="OK")
