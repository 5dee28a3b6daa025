"""What the demonstration notices when a mail does not get what its table claims."""

from __future__ import annotations

from email import message_from_string
from typing import Any

import pytest

from filterd.demo.outcome import Sent, code_of, wrongs
from filterd.demo.sample import Expected, Sample

REFUSED = Expected(
    reply="550 5.7.1",
    says=("M-VIRUS",),
    found=("virus.signature.match",),
    absent=("content.spam.model",),
    breach=("malware",),
    because=("category.malware",),
    advisory=("privacy.pii",),
    points=4,
)
MARKED = Expected(is_marked=True, results={"spf": "pass"})
FORGED = ("Authentication-Results", "mx.provider.example; spf=pass")


def event(**changes: Any) -> dict[str, Any]:
    """What the stream says of a mail of which all of REFUSED and MARKED is so."""
    return {
        "tx": "t_1",
        "direction": "outbound",
        "checks": [
            {
                "check": "clamd",
                "findings": [{"code": code, "confidence": 1.0} for code in changes.get("codes", REFUSED.found)],
                "results": [{"method": "spf", "result": changes.get("spf", "pass")}],
            }
        ],
        "decision": {
            "violations": [{"category": name} for name in changes.get("breach", REFUSED.breach)],
            "reasons": [{"code": code, "ids": []} for code in changes.get("because", REFUSED.because)],
            "advisory": list(changes.get("advisory", REFUSED.advisory)),
        },
    }


def sent(expected: Expected, reply: str, *, points: float | None = None, mail: str | None = None, **said: Any) -> Sent:
    sample = Sample(
        what="a mail", language="en", write=lambda language, head: b"", expected=expected, fields=(FORGED,)
    )
    return Sent(
        number=7,
        sample=sample,
        message_id="<x@y>",
        reply=reply,
        points=points,
        event=event(**said),
        arrived=message_from_string(mail) if mail is not None else None,
    )


def refused(reply: str = "550 5.7.1 M-VIRUS x", *, points: float = 4, **said: Any) -> list[str]:
    return wrongs(sent(REFUSED, reply, points=points, **said))


def test_what_is_as_claimed_is_right() -> None:
    assert refused() == []
    assert refused("550-5.7.1 M-VIRUS x\n550 5.7.1 M-VIRUS y") == []
    assert wrongs(sent(MARKED, "250 2.0.0 Ok", mail="X-Spam-Flag: YES\n\n", breach=())) == []


@pytest.mark.parametrize(
    ("got", "complaint"),
    [
        (refused("250 2.0.0 M-VIRUS"), "expected the reply 550 5.7.1"),
        (refused("550 5.7.13 M-VIRUS"), "expected the reply 550 5.7.1"),
        (refused("550 5.7.1 M-CONTENT"), "does not say 'M-VIRUS'"),
        (refused(points=0), "expected 4 points, got 0"),
        (refused(codes=()), "no finding virus.signature.match"),
        (refused(codes=("virus.signature.match", "content.spam.model")), "content.spam.model was not expected"),
        (refused(breach=()), "no breach malware"),
        (refused(because=()), "no reason category.malware"),
        (refused(advisory=()), "no advice privacy.pii"),
        (refused(mail="X: y\n\n"), "arrived, and was not to"),
        (wrongs(sent(MARKED, "250 Ok", breach=())), "did not arrive"),
        (wrongs(sent(MARKED, "250 Ok", mail="X: y\n\n", breach=())), "is not marked"),
        (wrongs(sent(MARKED, "250 Ok", mail="X-Spam-Flag: YES\n\n", breach=(), spf="fail")), "expected spf=pass"),
        (wrongs(sent(MARKED, "250 Ok", mail="X-Spam-Flag: YES\n\n")), "was to breach nothing"),
        (
            wrongs(sent(MARKED, "250 Ok", mail=f"{': '.join(FORGED)}\nX-Spam-Flag: YES\n\n", breach=())),
            "the forged Authentication-Results arrived",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_is_said(got: list[str], complaint: str) -> None:
    assert len(got) == 1, got
    assert got[0].startswith("mail 7 (a mail, en): ")
    assert complaint in got[0]


def test_a_mail_the_stream_does_not_know_is_wrong() -> None:
    unknown = sent(MARKED, "250 Ok")
    unknown.event = None
    assert wrongs(unknown) == ["mail 7 (a mail, en): the event stream says nothing of it"]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("250 2.0.0 Ok", "250"),
        ("550 5.7.1 M-VIRUS x", "550 5.7.1"),
        ("550-5.7.1 M-VIRUS x\n550 5.7.1 y", "550 5.7.1"),
        ("451 4.7.1 later", "451 4.7.1"),
    ],
)
def test_the_code_of_a_reply(reply: str, code: str) -> None:
    assert code_of(reply) == code
