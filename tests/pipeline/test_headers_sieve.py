"""The recipes of ops/docs/SIEVE.md do with our fields what the text says: read by a Sieve of the tests' own (RFC 5228).

It knows what the recipes use and fails on anything else: if and elsif, header with :is, :contains, :matches and :value
(RFC 5231), the comparators i;ascii-casemap and i;ascii-numeric (RFC 4790), fileinto, discard and stop.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from filterd.mail.parse import parse
from filterd.model.decision import Disposition
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, AuthResult, Outcome, Verdict
from filterd.pipeline.headers import Marking

TEXT = (Path(__file__).resolve().parents[2] / "ops/docs/SIEVE.md").read_text()
FLAG, STARS, NUMBER, DMARC = re.findall(r"^```sieve\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
FORGED = b"X-Spam-Flag: NO\r\nX-Spam-Score: 99\r\nX-Spam-Level: ********************\r\n"
FORGED += b"Authentication-Results: mx.example.com; dmarc=fail\r\n"

_STEP = re.compile(r'\s*(?:els)?if\s+header\s+([^{]*?)\s*\{([^}]*)\}|\s*(require\s*\[[^\]]*\];)')
_ACTION = re.compile(r'\s*(?:(fileinto) :create "([^"]+)"|(discard)|(stop));')


def run(script: str, raw: bytes) -> str:
    """Say where a mail goes: a folder, "discarded" or "INBOX"."""
    at, message = 0, parse(raw)
    while match := _STEP.match(script, at):
        at = match.end()
        if match[1] is None or not holds(match[1], lambda name: [f.value for f in message.all(name)]):
            continue
        done = [a[2] or a[3] for a in _ACTION.finditer(match[2])]
        assert "".join(a[0] for a in _ACTION.finditer(match[2])).strip() == match[2].strip()
        return "discarded" if done[0] == "discard" else str(done[0])
    assert script[at:].strip() == "", script[at:]
    return "INBOX"


def holds(test: str, values: Callable[[str], list[str]]) -> bool:
    words = re.findall(r':\w+|"[^"]*"', test)
    assert " ".join(words) == " ".join(test.split())
    texts = [word[1:-1] for word in words if word.startswith('"')]
    found = [value.strip() for value in values(texts[-2])]
    match words[0]:
        case ":is":
            return any(value.lower() == texts[-1].lower() for value in found)
        case ":contains":
            return any(texts[-1].lower() in value.lower() for value in found)
        case ":matches":
            return any(fnmatchcase(value.lower(), texts[-1].lower()) for value in found)
        case ":value":
            assert (texts[0], words[2:4]) == ("ge", [":comparator", '"i;ascii-numeric"'])
            return any(number(value) >= number(texts[-1]) for value in found)
    raise AssertionError(test)


def number(text: str) -> float:
    """RFC 4790 §9.1.1: what does not begin with a digit is larger than any number."""
    digits = re.match(r"[0-9]+", text)
    return int(digits[0]) if digits else float("inf")


def mail(probability: float | None, disposition: Disposition = Disposition.ACCEPT, dmarc: str = "pass") -> bytes:
    result = AuthResult(method="dmarc", result=dmarc, properties=(("header.from", "example.org"),))
    spf = AuthResult(method="spf", result="pass", properties=(("smtp.mailfrom", "example.org"),))
    checked = Verdict(check="dmarc", version="1", outcome=Outcome.CLEAN, results=(spf, result))
    marking = Marking(
        transaction_id="t_1",
        message_fp="f" * 32,
        direction=Direction.INBOUND,
        disposition=disposition,
        spam_score=probability,
        assessment=Assessment(verdicts=(checked,)),
        authserv_id="mx.example.com",
    )
    return marking.applied(FORGED + b"From: a@example.org\r\nSubject: x\r\n\r\nX-Spam-Flag: YES\r\n")


@pytest.mark.parametrize(
    ("script", "probability", "disposition", "place"),
    [
        (FLAG, 0.6, Disposition.TAG, "Junk"),
        (FLAG, None, Disposition.TAG, "Junk"),
        (FLAG, 0.99, Disposition.ACCEPT, "INBOX"),
        (FLAG, 0.01, Disposition.ACCEPT, "INBOX"),
        (STARS, 0.99, Disposition.TAG, "discarded"),
        (STARS, 0.6, Disposition.TAG, "Junk"),
        (STARS, 0.99, Disposition.ACCEPT, "INBOX"),
        (NUMBER, 0.9, Disposition.TAG, "Junk"),
        (NUMBER, 0.6, Disposition.TAG, "INBOX"),
        (NUMBER, 0.99, Disposition.ACCEPT, "INBOX"),
        # A probability of nearly nothing must not become a minus.
        (NUMBER, 0.000001, Disposition.ACCEPT, "INBOX"),
        (NUMBER, None, Disposition.ACCEPT, "INBOX"),
    ],
)
def test_a_recipe_files_what_it_says(
    script: str, probability: float | None, disposition: Disposition, place: str
) -> None:
    assert run(script, mail(probability, disposition)) == place


@pytest.mark.parametrize(("dmarc", "place"), [("fail", "Junk"), ("pass", "INBOX"), ("none", "INBOX")])
def test_the_recipe_for_forged_senders(dmarc: str, place: str) -> None:
    assert run(DMARC, mail(0.1, dmarc=dmarc)) == place


def test_the_reader_tells_recipes_apart() -> None:
    """What a stranger wrote would be believed, had it not been taken out."""
    assert run(STARS, FORGED + b"\r\n") == "discarded"
    assert run(DMARC, FORGED + b"\r\n") == "Junk"
    assert run(NUMBER, b"X-Spam-Score: -1\r\n\r\n") == "Junk"


def test_the_text_names_every_field() -> None:
    from filterd.pipeline.headers import MARKS, TRACE

    assert {name for name in (*MARKS, TRACE, "Authentication-Results") if f"`{name}`" not in TEXT} == set()
