"""The end of data is CRLF.CRLF and nothing else, wherever the network cuts (RFC 5321 §4.1.1.4)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.doors.smtp_data import ABSURD_TIMES, MemoryBudget, MessageBuffer
from filterd.mail.lines import data_block

pytestmark = pytest.mark.slow

# Octets that matter to the search come often.
OCTETS = st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\0", b"x", b"\r\n.", b"\r\n..", b"\xff"])).map(
    b"".join
)


def buffer(limit_bytes: int = 1 << 20, memory: int = 1 << 30) -> MessageBuffer:
    return MessageBuffer(limit_bytes=limit_bytes, budget=MemoryBudget(memory))


def fed(message: MessageBuffer, octets: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    for start, end in itertools.pairwise(edges):
        message.feed(octets[start:end])


@settings(deadline=None)
@given(OCTETS, OCTETS, st.lists(st.integers(0, 1000), max_size=6))
def test_what_was_stuffed_comes_back_however_it_is_cut(content: bytes, behind: bytes, cuts: list[int]) -> None:
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    block = data_block(content)
    message = buffer()
    # Octets behind the end arrive with it or later; only the former are given to the buffer.
    fed(message, block, cuts)
    assert message.is_whole
    assert message.content() == content
    other = buffer()
    assert other.feed(block + behind)
    assert (other.content(), other.rest()) == (content, behind)


@settings(deadline=None)
@given(OCTETS, st.lists(st.integers(0, 1000), max_size=6))
def test_the_end_is_found_exactly_where_the_standard_says(octets: bytes, cuts: list[int]) -> None:
    end = (b"\r\n" + octets).find(b"\r\n.\r\n")
    message = buffer()
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    for start, stop in itertools.pairwise(edges):
        if message.feed(octets[start:stop]):
            break
    assert message.is_whole == (end >= 0)


def test_an_empty_message() -> None:
    message = buffer()
    assert message.feed(b".\r\nQUIT\r\n")
    assert (message.content(), message.rest()) == (b"", b"QUIT\r\n")


def test_a_message_too_big_is_heard_to_its_end_and_not_kept() -> None:
    budget = MemoryBudget(1 << 30)
    message = MessageBuffer(limit_bytes=100, budget=budget)
    for _ in range(3):
        assert not message.feed(b"x" * 98 + b"\r\n")
    assert budget.held_bytes == 0
    assert message.feed(b".\r\nNOOP\r\n")
    assert message.refusal is not None
    assert (message.refusal.code, message.is_whole, message.is_absurd) == (552, True, False)
    assert message.rest() == b"NOOP\r\n"


def test_a_message_of_just_the_limit_is_taken() -> None:
    for size, code in ((100, None), (101, 552)):
        message = buffer(limit_bytes=100)
        assert message.feed(b"x" * (size - 2) + b"\r\n.\r\n")
        assert (message.refusal.code if message.refusal else None) == code


def test_who_never_ends_is_cut_off() -> None:
    message = buffer(limit_bytes=1000)
    fed_bytes = 0
    while not message.feed(b"x" * 500):
        fed_bytes += 500
    assert message.is_absurd
    assert fed_bytes <= 1000 * (ABSURD_TIMES + 2)


def test_an_end_in_pieces_behind_a_message_too_big() -> None:
    message = buffer(limit_bytes=10)
    for octet in b"x" * 50 + b"\r\n.\r\nRSET":
        message.feed(bytes((octet,)))
        if message.is_whole:
            break
    assert message.is_whole


def test_memory_is_shared_and_given_back() -> None:
    budget = MemoryBudget(100)
    first = MessageBuffer(limit_bytes=1000, budget=budget)
    second = MessageBuffer(limit_bytes=1000, budget=budget)
    first.feed(b"x" * 80)
    second.feed(b"y" * 30)
    assert second.refusal is not None
    assert second.refusal.code == 452
    assert budget.held_bytes == 80
    first.release()
    first.release()
    assert budget.held_bytes == 0
    third = MessageBuffer(limit_bytes=1000, budget=budget)
    third.feed(b"z" * 90)
    assert third.refusal is None
