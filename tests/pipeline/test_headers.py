"""Header edits on the way out: what is put on top, what claims to be ours goes, and the body stays to the octet."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.doors.milter_finish import Outcome as MilterOutcome
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.decision import Disposition
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, AuthResult, Finding, Outcome, Verdict
from filterd.pipeline.headers import FOREIGN_PREFIXES, MARKS, REQUIRED, TRACE, Marking, points
from tests.kit import mta

pytestmark = pytest.mark.slow

ID = "mx.example.com"
MAIL = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n"
SPF = AuthResult(method="spf", result="pass", properties=(("smtp.mailfrom", "example.org"),))
DKIM = AuthResult(method="dkim", result="fail", properties=(("header.d", "example.org"), ("header.s", "k1")))


def verdict(check: str, outcome: Outcome = Outcome.CLEAN, *codes: str, results: tuple[AuthResult, ...] = ()) -> Verdict:
    findings = tuple(Finding(code=code, confidence=1.0) for code in codes)
    return Verdict(check=check, version="1", outcome=outcome, findings=findings, results=results)


CLEAN = Assessment(verdicts=(verdict("clamd"), verdict("spf", results=(SPF,)), verdict("dkim", results=(DKIM,))))
SPAM = Assessment(
    verdicts=(verdict("clamd"), verdict("spam", Outcome.FOUND, "content.spam.model"), verdict("rate", Outcome.SKIPPED))
)


def edit(
    raw: bytes = MAIL,
    *,
    assessment: Assessment | None = CLEAN,
    direction: Direction = Direction.INBOUND,
    disposition: Disposition = Disposition.ACCEPT,
    spam_score: float | None = 0.2,
    **more: object,
) -> bytes:
    return Marking(
        transaction_id="t_1",
        message_fp="f" * 32,
        direction=direction,
        disposition=disposition,
        spam_score=spam_score,
        assessment=assessment,
        **{"authserv_id": ID, **more},  # type: ignore[arg-type]
    ).applied(raw)


def field(raw: bytes, name: str) -> str | None:
    found = parse(raw).all(name)
    assert len(found) <= 1
    return " ".join(found[0].value.split()) if found else None


# --- what comes on top ------------------------------------------------------------------------------------------------


def test_a_strangers_clean_mail() -> None:
    assert edit() == (
        b"Authentication-Results: mx.example.com; spf=pass smtp.mailfrom=example.org;\r\n"
        b" dkim=fail header.d=example.org header.s=k1\r\n"
        b"X-Filterd-Id: t_1 fp=" + b"f" * 32 + b"\r\n"
        b"X-Spam-Status: No, score=3.6 required=5.0 tests=[]\r\n"
        b"X-Spam-Score: 3.6\r\n"
        b"X-Spam-Level: ***\r\n"
        b"X-Virus-Scanned: filterd with clamd at mx.example.com\r\n" + MAIL
    )


def test_a_strangers_spam() -> None:
    raw = edit(assessment=SPAM, disposition=Disposition.TAG, spam_score=0.993)
    assert field(raw, "X-Spam-Status") == "Yes, score=10.0 required=5.0 tests=[content.spam.model]"
    assert field(raw, "X-Spam-Score") == "10.0"
    assert field(raw, "X-Spam-Level") == "*" * 10
    assert field(raw, "X-Spam-Flag") == "YES"
    assert field(raw, "X-Spam") == "Yes"
    assert field(raw, "Authentication-Results") == "mx.example.com; none"


@pytest.mark.parametrize("direction", [Direction.OUTBOUND, Direction.INTERNAL])
@pytest.mark.parametrize("disposition", [Disposition.ACCEPT, Disposition.TAG])
def test_mail_of_our_own_tells_nobody_how_it_was_judged(direction: Direction, disposition: Disposition) -> None:
    raw = edit(assessment=SPAM, direction=direction, disposition=disposition)
    assert raw == b"X-Filterd-Id: t_1 fp=" + b"f" * 32 + b"\r\n" + MAIL


def test_an_incomplete_judgement_is_said_in_the_trace_only() -> None:
    raw = edit(direction=Direction.OUTBOUND, is_complete=False)
    assert field(raw, TRACE) == f"t_1 fp={'f' * 32} unchecked"


def test_a_mail_that_no_assessment_belongs_to_gets_the_bare_mark() -> None:
    marking = Marking(
        transaction_id="t_1",
        message_fp="f",
        direction=Direction.INBOUND,
        disposition=Disposition.TAG,
        spam_score=0.9,
        remove=("Subject",),
        is_complete=False,
    )
    raw = marking.applied(MAIL)
    assert field(raw, "X-Spam-Flag") == "YES"
    assert field(raw, "X-Spam-Status") == "Yes, score=7.2 required=5.0 tests=[]"
    assert field(raw, "Authentication-Results") is None
    assert field(raw, "Subject") is None


# --- the number -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probability", "number"),
    [(0.5, 5.0), (0.9, 7.2), (0.99, 9.6), (0.1, 2.8), (0.01, 0.4), (0.0, 0.0), (1.0, 18.8), (-1.0, 0.0), (2.0, 18.8)],
)
def test_the_scale(probability: float, number: float) -> None:
    assert round(points(probability), 1) == number


@given(probability=st.floats(0, 1) | st.none(), is_spam=st.booleans())
def test_flag_word_number_and_stars_agree(probability: float | None, is_spam: bool) -> None:
    raw = edit(disposition=Disposition.TAG if is_spam else Disposition.ACCEPT, spam_score=probability)
    status = re.fullmatch(
        r"(Yes|No), score=(\d+\.\d) required=5\.0 tests=\[\]", field(raw, "X-Spam-Status") or ""
    )
    assert status is not None
    assert (status[1] == "Yes") == is_spam == (field(raw, "X-Spam-Flag") == "YES") == (field(raw, "X-Spam") == "Yes")
    assert (float(status[2]) >= REQUIRED) == is_spam
    assert field(raw, "X-Spam-Score") == status[2]
    assert len(field(raw, "X-Spam-Level") or "") == int(float(status[2]))


def test_codes_once_each_and_nothing_that_is_no_code() -> None:
    odd = ("content.spam.model", "content.spam.model", "x.y", "a.b.c\r\nX-Evil: 1", "Auth.SPF.fail", "auth.spf.fail")
    raw = edit(assessment=Assessment(verdicts=(verdict("x", Outcome.FOUND, *odd),)), disposition=Disposition.TAG)
    assert (field(raw, "X-Spam-Status") or "").endswith("tests=[content.spam.model, auth.spf.fail]")
    many = tuple(f"content.label{n}.advisory" for n in range(500))
    raw = edit(assessment=Assessment(verdicts=(verdict("x", Outcome.FOUND, *many),)))
    assert (field(raw, "X-Spam-Status") or "").count("content.") == 40
    assert max(map(len, raw.split(b"\r\n"))) <= 78


# --- the scanner ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "is_scanned"),
    [
        (verdict("clamd"), True),
        (verdict("clamd", Outcome.FOUND, "virus.heuristic.match"), True),
        (verdict("clamd", Outcome.FOUND, "virus.unscannable.size"), False),
        (verdict("clamd", Outcome.FOUND, "virus.unscannable.limits"), False),
        (verdict("clamd", Outcome.TEMPERROR), False),
        (verdict("clamd", Outcome.SKIPPED), False),
        (verdict("spam"), False),
    ],
)
def test_scanned_is_said_only_when_it_was(found: Verdict, is_scanned: bool) -> None:
    raw = edit(assessment=Assessment(verdicts=(found,)))
    assert (field(raw, "X-Virus-Scanned") is not None) == is_scanned


# --- what goes --------------------------------------------------------------------------------------------------------

FORGED = tuple(
    line.encode()
    for line in (
        "Authentication-Results: mx.example.com; dmarc=pass",
        "authentication-results: MX.Example.COM; dmarc=pass",
        "Authentication-Results: (c) mx.example.com 1; dmarc=pass",
        "Authentication-Results: mx(c).example.com; dmarc=pass",
        'Authentication-Results: "mx.example.com"; dmarc=pass',
        "Authentication-Results:\r\n mx.example.com;\r\n dmarc=pass",
        "Authentication-Results : mx.example.com; dmarc=pass",
        "Authentication-Results: mx.example.com.; dmarc=pass",
        "X-Spam-Flag: NO",
        "x-SPAM-status: No, score=-100",
        "X-Spam-Score : 0",
        "X-Spam-Level: ",
        "X-Spam: No",
        "X-Virus-Scanned: by me",
        "X-Spamd-Result: default: False [-100]",
        "X-Spamd-Bar: ----",
        "X-Rspamd-Queue-Id: x",
        "X-Rspamd-Action: no action",
        "X-Filterd-Id: forged",
    )
)
OTHERS = (
    b"Authentication-Results: other.example; dmarc=pass",
    b"Authentication-Results: sub.mx.example.com; spf=pass",
    b"ARC-Authentication-Results: i=1; mx.example.com; spf=pass",
    b"Received: from x by y; now",
    b"X-Spammer: no",
    b"X-Spam-Checker: mine",
)


def test_every_forged_field_goes_and_all_others_stay_in_order() -> None:
    rows = [row for pair in zip(FORGED, OTHERS * 4, strict=False) for row in pair]
    raw = b"".join(row + b"\r\n" for row in rows) + MAIL
    kept = b"".join(row + b"\r\n" for row in (OTHERS * 4)[: len(FORGED)]) + MAIL
    done = edit(raw)
    assert done.endswith(b"\r\nX-Virus-Scanned: filterd with clamd at mx.example.com\r\n" + kept)
    assert done == edit(kept)


@pytest.mark.parametrize("direction", [Direction.OUTBOUND, Direction.INTERNAL])
def test_on_the_way_out_only_what_claims_to_be_ours_goes(direction: Direction) -> None:
    raw = FORGED[0] + b"\r\nX-Spam-Flag: NO\r\n" + MAIL
    assert edit(raw, direction=direction).endswith(b"\r\nX-Spam-Flag: NO\r\n" + MAIL)
    assert b"dmarc=pass" not in edit(raw, direction=direction)


def test_a_claim_behind_a_line_that_is_no_field_is_in_the_body_for_everybody() -> None:
    """Readers that step over such lines would find it (Dovecot does); Postfix puts the same empty line there."""
    head, tail = b"From: a@example.org\r\n", b"this is no field\r\n" + FORGED[0] + b"\r\n\r\nbody\r\n"
    assert edit(head + tail).endswith(b"\r\n" + head + b"\r\n" + tail)
    # A mail that hides nothing stays as it is.
    plain = head + b"this is no field\r\nSubject: x\r\n\r\nX-Spam-Flag: NO\r\n"
    assert edit(plain).endswith(b"\r\n" + plain)
    # Where nothing of a header is left, our own ends with the empty line.
    assert edit(FORGED[0] + b"\r\n" + tail).endswith(b"at mx.example.com\r\n\r\n" + tail)


def test_the_text_of_a_body_is_no_header() -> None:
    raw = MAIL + FORGED[0] + b"\r\nX-Spam-Flag: NO\r\n"
    assert edit(raw).endswith(raw)


# --- hostile ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["a\r\nX-Evil: 1", "a\nb", "a\0b", "x" * 5000, "例子.中国", 'a";b', "a (b", "=?utf-8?q?=0D=0AX:?=", "", " ", "a;b"],
)
def test_no_domain_can_put_a_field_in(value: str) -> None:
    result = AuthResult(method="dkim", result="fail", properties=(("header.d", value),), comment=value)
    raw = edit(assessment=Assessment(verdicts=(verdict("dkim", results=(result,)),)))
    top = raw[: -len(MAIL)]
    names = [line.split(b":")[0] for line in top.split(b"\r\n")[:-1] if not line.startswith(b" ")]
    assert names == [b"Authentication-Results", b"X-Filterd-Id", b"X-Spam-Status", b"X-Spam-Score", b"X-Spam-Level"]
    assert max(map(len, top.split(b"\r\n"))) <= 998
    assert parse(raw).raw[parse(raw).body_offset :] == b"body\r\n"


def test_a_result_that_is_none_costs_the_field_and_not_the_mail() -> None:
    result = AuthResult(method="dk im", result="fail")
    raw = edit(assessment=Assessment(verdicts=(verdict("dkim", results=(result,)),)))
    assert field(raw, "Authentication-Results") is None
    assert field(raw, TRACE) is not None


@pytest.mark.timeout(120)
def test_many_and_long_fields_are_linear() -> None:
    raw = (FORGED[0] + b"\r\nA: b\r\n") * 60_000 + b"broken\r\n" + b"C: d\r\n" * 60_000 + b"\r\nbody"
    assert b"dmarc=pass" not in edit(raw)


LINES = st.sampled_from(
    [*(row + b"\r\n" for row in (*FORGED, *OTHERS)), b"\r\n", b" fold\r\n", b"\t\r\n", b"no field\r\n", b"From x y\r\n"]
)


@settings(max_examples=300, deadline=None)
@given(
    head=st.lists(LINES, max_size=8).map(b"".join),
    body=st.binary(max_size=200) | st.lists(LINES, max_size=5).map(b"".join),
    direction=st.sampled_from(Direction),
    disposition=st.sampled_from([Disposition.ACCEPT, Disposition.TAG]),
)
def test_the_body_is_never_touched(head: bytes, body: bytes, direction: Direction, disposition: Disposition) -> None:
    raw, _ = canonical(head + b"\r\n" + body)
    done = edit(raw, direction=direction, disposition=disposition)
    before, after = parse(raw), parse(done)
    assert after.raw[after.body_offset :] == before.raw[before.body_offset :]
    # Doing it once more, as a second filterd would, changes our own fields only.
    again = parse(edit(done, direction=direction, disposition=disposition))
    assert again.raw[again.body_offset :] == before.raw[before.body_offset :]
    assert len(again.all(TRACE)) == 1


@settings(max_examples=200, deadline=None)
@given(head=st.lists(LINES, max_size=10).map(b"".join), body=st.binary(max_size=50))
def test_nothing_forged_survives_in_any_reading(head: bytes, body: bytes) -> None:
    done = edit(canonical(head + b"\r\n" + body)[0])
    header = done.partition(b"\r\n\r\n")[0]
    for name in MARKS:
        assert len(re.findall(rb"(?im)^%s[ \t]*:" % re.escape(name.encode()), header)) <= 1
    claims = rb'(?im)^authentication-results[ \t]*:\s*(?:\(c\) ?|")?mx(?:\(c\))?\.example\.com'
    assert len(re.findall(claims, header)) == 1
    for prefix in FOREIGN_PREFIXES:
        assert prefix.encode() not in header.lower()


# --- two ways to the same mail ----------------------------------------------------------------------------------------

LOGIN_FIELD = "X-Filterd-Login"
_NAMES = (
    *MARKS,
    *(f"{prefix}Result" for prefix in FOREIGN_PREFIXES),
    *(TRACE, LOGIN_FIELD, "Received", "Subject", "X-Spam-Other", "DKIM-Signature"),
)
_AUTHENTICATION = (
    f" {ID}; spf=pass",
    f"{ID};dkim=pass",
    f" {ID.upper()} 1;\r\n\tdkim=pass",
    f"\r\n (hidden) {ID};\r\n spf=pass",
    " other.example; dkim=fail",
    f" other.{ID}; none",
    "",
)
_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@st.composite
def _fields(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 3)) == 0:
        name, value = "Authentication-Results", draw(st.sampled_from(_AUTHENTICATION))
    else:
        name = draw(st.sampled_from(_NAMES))
        value = draw(st.sampled_from(("", " ", "\t", "  "))) + draw(_TEXT)
        value += "".join(draw(st.lists(st.builds("\r\n{}{}".format, st.sampled_from((" ", "\t")), _TEXT), max_size=2)))
    name = "".join(draw(st.sampled_from((letter.lower(), letter.upper()))) for letter in name)
    return f"{name}:{value}\r\n".encode()


def _packets(octets: bytes) -> list[tuple[bytes, bytes]]:
    """What an MTA reads, and the last word behind it."""
    found = []
    while octets:
        end = 4 + int.from_bytes(octets[:4], "big")
        found.append((octets[4:5], octets[5:end]))
        octets = octets[end:]
    return [*found, (b"a", b"")]


@given(
    fields=st.lists(_fields(), min_size=1, max_size=12),
    body=st.sampled_from((b"", b"body\r\n", b"X-Spam-Flag: YES\r\n\r\n.\r\n")),
    direction=st.sampled_from((Direction.INBOUND, Direction.OUTBOUND)),
    disposition=st.sampled_from((Disposition.ACCEPT, Disposition.TAG)),
    has_leading_space=st.booleans(),
)
@settings(deadline=None)
def test_an_mta_that_keeps_the_mail_comes_to_the_same_octets(
    fields: list[bytes], body: bytes, direction: Direction, disposition: Disposition, has_leading_space: bool
) -> None:
    raw = b"".join(fields) + b"\r\n" + body
    marking = Marking(
        transaction_id="t_1",
        message_fp="f" * 32,
        direction=direction,
        disposition=disposition,
        spam_score=0.9,
        remove=(LOGIN_FIELD,),
        assessment=CLEAN,
        authserv_id=ID,
    )
    outcome = MilterOutcome(reply=None, edits=marking.edits(raw))
    said = _packets(outcome.edits_for(has_leading_space=has_leading_space))
    assert mta.apply(raw, said, has_leading_space=has_leading_space) == marking.applied(raw)
