"""Two verifiers, one answer: ours against dkimpy, on mail signed in every way and on what vandals make of it.

Where the two part is listed in `DIFFERENCES`, each with a mail on which they do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.lines import canonical
from tests.checks.dkim_oracle import DOMAIN, ours, sign, sign_by_hand, theirs, words

pytestmark = pytest.mark.slow

HEAD = (
    b"From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\n"
    b"Subject: =?utf-8?q?a_b?= c\r\n  folded\ttwice \r\n\tand again\r\n"
    b"Date: Mon, 02 Nov 2026 11:00:00 +0000\r\nX-Tag: one\r\nx-tag:two\r\nX-Empty:\r\n"
)
BODIES = {
    "empty": b"",
    "one-line-end": b"\r\n",
    "line-ends": b"\r\n\r\n\r\n",
    "blanks": b" \r\n",
    "blanks-last": b"a\r\n \r\n",
    "trailing-lines": b"Hello  world \r\n\t tabs\t\r\n\r\nbye\r\n\r\n\r\n",
    "no-line-end": b"no end",
    "chinese": "您好，  世界\r\n".encode(),
}
FORMS = tuple(product((b"simple", b"relaxed"), repeat=2))
NAMES = {
    "plain": (b"from", b"to", b"subject", b"date"),
    # Twice what is there twice, once more than is there, and what is not there at all.
    "oversigned": (b"from", b"from", b"x-tag", b"x-tag", b"x-tag", b"subject", b"x-empty", b"x-none"),
}
ALGORITHMS = (b"rsa-sha256", b"ed25519-sha256")


# --- Unchanged mail ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("forms", FORMS, ids=lambda forms: b"/".join(forms).decode())
async def test_both_pass_what_dkimpy_signed(forms: tuple[bytes, bytes], body: bytes) -> None:
    for names, algorithm, is_cut in product(NAMES.values(), ALGORITHMS, (False, True)):
        raw = sign(HEAD + b"\r\n" + body, forms=forms, names=names, algorithm=algorithm, length=is_cut)
        assert (words(await ours(raw)), theirs(raw)) == (["pass"], [True])


@pytest.mark.parametrize("forms", FORMS, ids=lambda forms: b"/".join(forms).decode())
async def test_both_pass_a_mail_without_a_body(forms: tuple[bytes, bytes]) -> None:
    raw = sign(HEAD, forms=forms)
    assert (words(await ours(raw)), theirs(raw)) == (["pass"], [True])


@pytest.mark.parametrize(
    ("old", "new", "passing"),
    [
        # What each form of the header and of the body lets pass, in the order of FORMS.
        (b"Bob <bob", b"Bob  <bob", "0011"),
        (b"To: Bob", b"to:\tBob", "0011"),
        (b"again\r\n", b"again \r\n", "0011"),
        (b"tabs\t\r\n", b"tabs\r\n", "0101"),
        (b"Hello  world", b"Hello world", "0101"),
        (b"bye\r\n", b"bye\r\n\r\n", "1111"),
        (b"bye\r\n\r\n\r\n", b"bye", "1111"),
        (b"Hello  world", b"Helloworld", "0000"),
        (b"X-Tag: one", b"X-Tag: 1", "1111"),
        (b"From: Ann", b"From: Bob", "0000"),
        (b"X-Tag", b"From: Bob\r\nX-Tag", "0000"),
        (b"X-Tag", b"Received: by mx\r\nX-Tag", "1111"),
        (b"b=", b"b= ", "1111"),
    ],
)
async def test_both_judge_a_change_alike(old: bytes, new: bytes, passing: str) -> None:
    for forms, expected in zip(FORMS, passing, strict=True):
        raw = sign(HEAD + b"\r\n" + BODIES["trailing-lines"], forms=forms)
        assert old in raw
        at = raw.rindex(old)
        changed = raw[:at] + new + raw[at + len(old) :]
        said = "pass" in words(await ours(changed))
        assert (said, any(theirs(changed))) == (expected == "1", expected == "1"), forms


async def test_several_signatures_are_judged_one_by_one() -> None:
    raw = HEAD + b"\r\n" + BODIES["chinese"]
    for algorithm, forms in product(ALGORITHMS, FORMS):
        raw = sign(raw, forms=forms, algorithm=algorithm)
    broken = raw.replace("，  ".encode(), "， ".encode())
    assert words(await ours(raw)) == ["pass"] * 8
    assert theirs(raw) == [True] * 8
    assert [word == "pass" for word in words(await ours(broken))] == theirs(broken) == [True, False] * 4


# --- Vandals ----------------------------------------------------------------------------------------------------------

# Why → whether a mail is of that kind. `ours` and `theirs`: whether the signature passes, one entry a signature.
DIFFERENCES: dict[str, Callable[[bytes, list[str], list[bool]], bool]] = {
    # FAULTS F7: dkimpy passes them.
    "l= leaves part of the body unsigned": lambda raw, ours, theirs: "policy" in ours,
    # RFC 6376 §3.2, §3.4.2: neither is a blank. dkimpy lets Python say what a blank is.
    "vertical tab or form feed": lambda raw, ours, theirs: re.search(rb"[\x0b\x0c]", raw) is not None,
    # RFC 5322 §4.5 has it, and §3.4.2 says what becomes of it. dkimpy refuses the mail, or skips the line (`From :`).
    "blanks between name and colon": lambda raw, ours, theirs: re.search(rb"(?m)^[!-9;-~]+[ \t]+:", raw) is not None,
    # No field has an empty name: the header ends there (mail/fields). dkimpy takes the next colon.
    "a line that starts with a colon": lambda raw, ours, theirs: re.search(rb"(?m)^:", raw) is not None,
    # §3.4.4: blanks at the end of a line are ignored, also of a last line without end, which SMTP cannot carry.
    "a last line of blanks without its end": lambda raw, ours, theirs: raw.endswith((b" ", b"\t")),
    # A fold, not the empty line: the header ends at the next line that is no field (mail/fields), where most readers
    # let it end. dkimpy refuses the mail.
    "a line of blanks in place of the empty one": lambda raw, ours, theirs: (
        re.search(rb"\r\n[ \t]+\r\n", raw.partition(b"\r\n\r\n")[0] + b"\r\n") is not None
    ),
}
EXAMPLES: dict[str, Callable[[], bytes]] = {
    "l= leaves part of the body unsigned": lambda: sign(HEAD + b"\r\nHello\r\n", length=True) + b"more\r\n",
    "vertical tab or form feed": lambda: sign(HEAD + b"\r\nHello\r\n").replace(b"again\r\n", b"again\x0c\r\n"),
    "blanks between name and colon": lambda: sign(HEAD + b"\r\nHello\r\n").replace(b"To:", b"To :"),
    "a line that starts with a colon": lambda: sign(HEAD + b"\r\n").replace(b"X-Tag", b":X-Tag"),
    "a last line of blanks without its end": lambda: sign(HEAD + b"\r\na") + b" ",
    "a line of blanks in place of the empty one": lambda: sign(HEAD + b"\r\nHello\r\n").replace(
        b"\r\n\r\nHello", b"\r\n \r\nHello"
    ),
}


@pytest.mark.parametrize("kind", DIFFERENCES)
async def test_each_difference_is_one(kind: str) -> None:
    raw = EXAMPLES[kind]()
    said = words(await ours(raw))
    assert [word == "pass" for word in said] != theirs(raw)
    assert DIFFERENCES[kind](raw, said, theirs(raw))


async def test_a_body_shorter_than_l_is_one_more() -> None:
    # RFC 6376 §3.5, l=: must not be more than there is. No vandal of one or two strokes gets there.
    raw = sign_by_hand(HEAD + b"\r\nHello\r\n", f"v=1; d={DOMAIN}; s=rsa; l=9999")
    assert (words(await ours(raw)), theirs(raw)) == (["fail"], [True])


@lru_cache
def signed() -> tuple[bytes, ...]:
    return tuple(
        sign(HEAD + b"\r\n" + body, forms=forms, names=names, algorithm=algorithm, length=is_cut)
        for forms, body, (names, algorithm, is_cut) in product(
            FORMS, BODIES.values(), ((NAMES["plain"], ALGORITHMS[0], False), (NAMES["oversigned"], ALGORITHMS[1], True))
        )
    )


PIECES = st.sampled_from(
    (
        b" ", b"\t", b"\r\n", b"\r\n ", b"\n", b"\r", b";", b"=", b"a", b"0", b":", b"b=", b"\0", b"\x0c", b"\xe9",
        b"From: x\r\n", b"  ", b"\r\n\r\n", b" :", b"x-tag: 3\r\n",
    )
)
# Where (the more so the nearer to the top), how many octets go, and what comes in their place.
STROKES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from((0, 0, 1, 2, 7)), PIECES | st.just(b"")), min_size=1, max_size=2
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 63), STROKES)
def test_vandals_get_the_same_answer_from_both(which: int, strokes: list[tuple[float, int, bytes]]) -> None:
    raw = signed()[which]
    for where, gone, come in strokes:
        at = int(where * where * len(raw))
        raw = raw[:at] + come + raw[at + gone :]
    raw, _ = canonical(raw)
    said, theirs_said = words(asyncio.run(ours(raw))), theirs(raw)
    passing = [word == "pass" for word in said if word != "none"]
    # A mail that dkimpy refuses as a whole has no signature that passes.
    if passing != (theirs_said or [False] * len(passing)):
        assert any(is_of(raw, said, theirs_said) for is_of in DIFFERENCES.values()), (said, theirs_said)
