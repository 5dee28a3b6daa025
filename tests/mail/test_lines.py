"""Line ends: what stray octets become, and that the dots of DATA come and go without a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.lines import UNCHANGED, Changes, canonical, data_block, dot_stuff, dot_unstuff

pytestmark = pytest.mark.slow

# Few letters, so that line ends and dots meet.
LINES = st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\0", b" "]), max_size=40).map(b"".join)


@pytest.mark.parametrize(
    ("stray", "expected", "changes"),
    [
        (b"a\nb", b"a\r\nb", Changes(bare_lf=1)),
        (b"a\rb", b"a b", Changes(bare_cr=1)),
        (b"a\r\r\nb", b"a \r\nb", Changes(bare_cr=1)),
        (b"a\n\rb", b"a\r\n b", Changes(bare_lf=1, bare_cr=1)),
        (b"a\n\r\nb", b"a\r\n\r\nb", Changes(bare_lf=1)),
        (b"a\r\n.\nb", b"a\r\n.\r\nb", Changes(bare_lf=1)),
        (b"a\r.\r\nb", b"a .\r\nb", Changes(bare_cr=1)),
        (b"\n", b"\r\n", Changes(bare_lf=1)),
        (b"\r", b" ", Changes(bare_cr=1)),
        (b"Subject: x\n\rBcc: y\r\n", b"Subject: x\r\n Bcc: y\r\n", Changes(bare_lf=1, bare_cr=1)),
    ],
)
def test_stray_line_ends_become_what_postfix_makes_of_them(stray: bytes, expected: bytes, changes: Changes) -> None:
    assert canonical(stray) == (expected, changes)


@pytest.mark.parametrize("clean", [b"", b"a", b"a\r\n", b"\r\n\r\n", b"a\0b\r\n.\r\n", b"\xff\r\n"])
def test_clean_mail_is_the_same_object(clean: bytes) -> None:
    data, changes = canonical(clean)
    assert data is clean
    assert changes is UNCHANGED
    assert not changes


@given(LINES)
@settings(deadline=None)
def test_canonical_has_only_crlf_and_is_idempotent(data: bytes) -> None:
    once, _ = canonical(data)
    assert once.count(b"\r") == once.count(b"\n") == once.count(b"\r\n")
    assert canonical(once)[0] is once
    assert once.count(b"\0") == data.count(b"\0")


@given(LINES)
@settings(deadline=None)
def test_unstuffing_undoes_stuffing(data: bytes) -> None:
    clean, _ = canonical(data)
    assert dot_unstuff(dot_stuff(clean)) == clean


@given(LINES)
@settings(deadline=None)
def test_a_data_block_ends_once_and_says_what_it_was_given(data: bytes) -> None:
    clean, _ = canonical(data)
    block = data_block(clean)
    # A reader that is handed the block stops at its end, not earlier.
    assert (b"\r\n" + block).find(b"\r\n.\r\n") == len(block) - 3
    body = dot_unstuff(block[: -len(b".\r\n")])
    assert body == (clean if not clean or clean.endswith(b"\r\n") else clean + b"\r\n")


def test_no_smuggling_terminator_survives(data_dir: Path) -> None:
    suite = json.loads((data_dir / "conformance/smtp-smuggling/payloads.json").read_text())
    template = suite["template"]
    for case in suite["terminators"]:
        mail, _ = canonical((template["before"] + case["seq"] + template["after"]).encode() + b"\r\n")
        block = data_block(mail)
        assert block.replace(b"\r\n", b"").count(b"\r") == block.replace(b"\r\n", b"").count(b"\n") == 0, case["id"]
        assert block.count(b"\r\n.\r\n") == 1, case["id"]
