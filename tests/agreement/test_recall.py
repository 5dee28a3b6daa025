"""What rests on a rule that was wrong for a time, and what a grant keeps from counting again.  STANDING 5.7-5, -8."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from filterd.agreement.exculpation import (
    EVIDENCE,
    MAX_RECIPIENTS,
    PATTERN,
    STREAM,
    exculpations,
    recipient_marks,
    spared_by,
)
from filterd.agreement.recall import Dependents, Wrong, dependents
from filterd.agreement.signals import signals, signals_in, split, things
from filterd.model import records as r
from filterd.model.decision import NO_TEXT, Case, MailFacts
from filterd.model.sanction import Ground, Mode, Violation
from filterd.model.verdict import Finding, Outcome
from tests.agreement.cases import assessed, case
from tests.agreement.cases import finding as found
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history

pytestmark = pytest.mark.slow

TERMS = shipped()
VIRUS, SPAM = "virus.signature.match", "content.spam.model"
RULE = Wrong(rule=VIRUS, version=None, since=T0, until=T0 + DAY)
SIGNATURE = replace(RULE, version="signature:X")
MODEL = Wrong(rule=SPAM, version="model:3", since=T0, until=T0 + DAY)


def act(*codes: str, at: datetime = T0, incident_id: str = "i_1", signals: tuple[str, ...] = ()) -> r.ViolationRecorded:
    """One message; each text of codes is a violation with the findings behind it."""
    violations = tuple(
        Violation(
            category="malware",
            family="malware",
            mode=Mode.A,
            severity=3,
            ground=Ground(kind="clause", ids=("3.5.2",)),
            finding_codes=tuple(text.split()),
        )
        for text in codes
    )
    return r.ViolationRecorded(
        at=at,
        incident_id=incident_id,
        decision_id="d_1",
        transaction_id="t_1",
        evidence_key="e_1",
        text_fp="x_1",
        violations=violations,
        delivery_keys=("k_1",),
        policy_digest="",
        signals=signals,
    )


# --- recall -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "one", "part"),
    [
        (RULE, act(VIRUS), "whole"),
        (RULE, act(f"{VIRUS} {SPAM}"), "part"),
        (RULE, act(VIRUS, SPAM), "part"),
        (RULE, act(SPAM), "none"),
        # From its first instant, and not at its last.
        (RULE, act(VIRUS, at=T0 - SECOND), "none"),
        (RULE, act(VIRUS, at=T0 + DAY - SECOND), "whole"),
        (RULE, act(VIRUS, at=T0 + DAY), "none"),
        # One signature of it.
        (SIGNATURE, act(VIRUS, signals=(f"{VIRUS}=signature:X",)), "whole"),
        (SIGNATURE, act(VIRUS, signals=(f"{VIRUS}=signature:Y",)), "none"),
        (SIGNATURE, act(VIRUS), "none"),
        (SIGNATURE, act(VIRUS, signals=(f"{SPAM}=signature:X",)), "none"),
        (SIGNATURE, act(VIRUS, signals=(f"{VIRUS}=signature:X", f"{VIRUS}=signature:Y")), "part"),
        (RULE, act(VIRUS, signals=(f"{VIRUS}=signature:X", f"{VIRUS}=signature:Y")), "whole"),
        # A model's version is behind every finding of it, and is no finding of its own.
        (MODEL, act(SPAM, signals=(f"{SPAM}=model:3",)), "whole"),
        (SIGNATURE, act(VIRUS, signals=(f"{VIRUS}=signature:X", f"{VIRUS}=model:9")), "whole"),
        (SIGNATURE, act(VIRUS, signals=(f"{VIRUS}=signature:X", f"{SPAM}=list:a")), "whole"),
    ],
)
def test_case_5_7_08_what_rests_on_it_alone_and_what_in_part(wrong: Wrong, one: r.ViolationRecorded, part: str) -> None:
    expected = {
        "whole": Dependents(account_id="a_1", whole=("i_1",)),
        "part": Dependents(account_id="a_1", part=("i_1",)),
        "none": Dependents(account_id="a_1"),
    }
    assert dependents("a_1", [one], wrong) == expected[part]


def test_case_5_7_08_each_incident_by_all_of_its_messages_and_none_that_is_undone() -> None:
    rows: list[r.Record] = [
        act(VIRUS, incident_id="i_1"),
        act(VIRUS, incident_id="i_2"),
        act(SPAM, incident_id="i_2"),
        act(SPAM, incident_id="i_3"),
        act(VIRUS, incident_id="i_4"),
        act(VIRUS, incident_id="i_4", at=T0 + DAY),
        act(VIRUS, incident_id="i_5"),
        act(VIRUS, incident_id="i_6"),
        act(VIRUS, incident_id="i_7"),
        r.StrikeAnnulled(at=T0, strike_id="k_5", incident_id="i_5", by="ann", reason="x"),
        r.StrikeExcused(at=T0, strike_id="k_6", incident_id="i_6", by="ann", attestation_id="t_1"),
    ]
    assert dependents("a_1", rows, RULE) == Dependents(account_id="a_1", whole=("i_1", "i_7"), part=("i_2", "i_4"))


# --- signals ----------------------------------------------------------------------------------------------------------


def test_signals_name_what_was_found_and_by_which_version() -> None:
    one = found(VIRUS, why=(("signature", "X"), ("engine", "1"), ("model", "3"), ("signature", "X")))
    assert (things(one), signals(one)) == (("signature:X",), ("signature:X", "model:3"))
    assert things(found(VIRUS, why=(("signature", "a=b\tc"),))) == ("signature:a?b?c",)
    long = things(found(VIRUS, why=(("signature", "x" * 130),)))
    assert long == ("signature:" + "x" * 120,)
    assert [split(x) for x in (f"{VIRUS}=signature:X", VIRUS)] == [(VIRUS, "signature:X"), (VIRUS, None)]


def test_signals_of_a_mail_are_those_of_what_it_breached_and_no_more_than_sixteen() -> None:
    many = [found(VIRUS, why=(("signature", str(n)),)) for n in range(20)]
    said = signals_in(assessed(*many, found(SPAM, why=(("model", "3"),))), {VIRUS})
    assert said == tuple(f"{VIRUS}=signature:{n}" for n in range(16))
    assert signals_in(assessed(*many, outcome=Outcome.TEMPERROR), {VIRUS}) == ()


# --- exculpation ------------------------------------------------------------------------------------------------------


def marks(first: int, count: int) -> tuple[str, ...]:
    return tuple(f"{n:012x}" for n in range(first, first + count))


def granted(*prints: str, kind: str = EVIDENCE, rules: tuple[str, ...] = (VIRUS,)) -> r.ExculpationGranted:
    return r.ExculpationGranted(
        at=T0,
        exculpation_id="x_1",
        account_id="a_1",
        incident_id="i_1",
        kind=kind,
        rules=rules,
        fingerprints=prints,
        until=T0 + 180 * DAY,
    )


def mail(
    at: datetime = T0, *, hashes: tuple[str, ...] = (), streams: tuple[str, ...] = (), text_fp: str = "x_9"
) -> Case:
    facts = MailFacts(
        recipients=1,
        external_recipients=1,
        has_attachments=False,
        has_links=False,
        recipient_hashes=tuple(x + "0" * 20 for x in hashes),
        stream_keys=streams,
    )
    return case((), at=at, evidence_key="e_9", text_fp=text_fp, facts=facts)


def is_spared(given: r.ExculpationGranted, one: Case, item: Finding | None = None) -> bool:
    return spared_by(item or found(VIRUS), one, history(further=(given,)), TERMS) is not None


def test_case_5_7_05_a_grant_holds_for_its_term_and_its_rules() -> None:
    given = granted("e_9")
    end = T0 + 180 * DAY
    assert [is_spared(given, mail(at)) for at in (T0 - SECOND, T0, end - SECOND, end)] == [False, True, True, False]
    assert not is_spared(given, mail(), found(SPAM))
    named = replace(given, rules=(f"{VIRUS}=signature:X",))
    x, y = (found(VIRUS, why=(("signature", name),)) for name in ("X", "Y"))
    both = found(VIRUS, why=(("signature", "X"), ("signature", "Y")))
    assert [is_spared(named, mail(), one) for one in (x, y, both, found(VIRUS))] == [True, False, False, False]
    assert not is_spared(given, mail(), x)


def test_case_5_7_05_the_same_evidence_or_text_and_no_text_is_nobody_s() -> None:
    assert [is_spared(granted(*x), mail()) for x in (("e_9",), ("x_9",), ("x_1", "e_1"), ())] == [
        True,
        True,
        False,
        False,
    ]
    assert not is_spared(granted(NO_TEXT), mail(text_fp=NO_TEXT))


@pytest.mark.parametrize(
    ("shared", "count", "expected"), [(7, 10, True), (6, 10, False), (70, 100, True), (69, 100, False), (0, 0, False)]
)
def test_case_5_7_05_the_same_bulk_goes_to_seven_of_ten_of_the_same(shared: int, count: int, expected: bool) -> None:
    given = granted(*marks(0, 200), kind=PATTERN)
    assert is_spared(given, mail(hashes=(*marks(0, shared), *marks(1000, count - shared)))) is expected


def test_case_5_7_05_a_declared_stream_is_the_same_bulk_whoever_gets_it() -> None:
    given = granted(STREAM + "k", kind=PATTERN)
    assert [is_spared(given, mail(streams=x)) for x in (("k",), ("j", "k"), ("j",), ())] == [True, True, False, False]
    assert not is_spared(granted(STREAM + "k"), mail(streams=("k",)))


def test_case_5_7_05_of_a_very_large_list_only_what_could_be_kept_is_compared() -> None:
    full = granted(*marks(0, MAX_RECIPIENTS), kind=PATTERN)
    beyond = marks(MAX_RECIPIENTS, 5000)
    assert is_spared(full, mail(hashes=(*marks(0, 10), *beyond)))
    less = granted(*marks(0, MAX_RECIPIENTS - 1), kind=PATTERN)
    assert not is_spared(less, mail(hashes=(*marks(0, 10), *beyond)))
    # The largest that was kept is one of them.
    assert is_spared(full, mail(hashes=marks(MAX_RECIPIENTS - 1, 1)))


def test_marks_are_the_smallest_short_and_sorted() -> None:
    assert recipient_marks(("b" * 40, "a" * 40, "a" * 12 + "z"), 5) == ("a" * 12, "b" * 12)
    assert recipient_marks(("c", "a", "b"), 2) == ("a", "b")
    assert len(recipient_marks(marks(0, 9000), MAX_RECIPIENTS)) == 8192


def test_what_a_grant_writes_down() -> None:
    at = T0 + HOUR
    one = act(VIRUS, SPAM, signals=(f"{VIRUS}=signature:X", f"{SPAM}=model:3"))
    rows = [one, replace(one, evidence_key="e_2", text_fp=NO_TEXT), act("link.feed.match", incident_id="i_2")]
    (only,) = exculpations(rows, "i_1", TERMS, at, account_id="a_1")
    assert (only.kind, only.fingerprints, only.until) == (EVIDENCE, ("e_1", "x_1", "e_2"), at + 180 * DAY)
    # By what was found where the rows say so, else by the rule.
    assert only.rules == (SPAM, f"{VIRUS}=signature:X")
    # What rests on no mail has nothing that could be known again.
    assert exculpations(rows, "i_9", TERMS, at, account_id="a_1") == ()


@pytest.mark.parametrize(("count", "is_bulk"), [(49, False), (50, True)])
def test_what_a_grant_writes_down_for_bulk(count: int, is_bulk: bool) -> None:
    rows = [
        replace(act(VIRUS), recipient_marks=marks(0, 30)),
        replace(act(VIRUS), recipient_marks=marks(20, count - 20)),
    ]
    given = exculpations(rows, "i_1", TERMS, T0, account_id="a_1")
    assert [x.kind for x in given] == ([EVIDENCE, PATTERN] if is_bulk else [EVIDENCE])
    if is_bulk:
        assert given[1].fingerprints == marks(0, 50)
    streams = exculpations(rows[:1], "i_1", TERMS, T0, account_id="a_1", stream_keys=("k",))
    assert streams[1].fingerprints == (STREAM + "k",)
