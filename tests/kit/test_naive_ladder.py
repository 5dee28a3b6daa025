"""The naive ladder walks as STANDING 7.3 says, and keeps the properties of 7.1 that need nothing else."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tests.kit.naive_ladder import (
    Act,
    Annulled,
    Answered,
    Confirmed,
    Lifted,
    Mode,
    NaiveStanding,
    Noticed,
    Objected,
    Preset,
    Rung,
    Step,
    Violation,
    incidents,
    standing,
)

pytestmark = pytest.mark.slow

SPAM = frozenset({"bulk", "messages_per_hour:20"})
LINKS = frozenset({"links", "external_recipients"})
NOTHING = frozenset[str]()
START = datetime(2025, 3, 3, 2, 0, tzinfo=UTC)
RUNGS = ("good", "warned", "restricted", "suspended")


def day(days: float, minutes: int = 0) -> datetime:
    return START + timedelta(days=days, minutes=minutes)


def act(
    at: datetime,
    name: str,
    category: str,
    *,
    mode: Mode = "A",
    severity: int | None = None,
    recipients: int = 1,
    message: str | None = None,
    strong: bool = True,
    indicator: bool = False,
    burst: bool = False,
    hypothesis: str = "unknown",
) -> Violation:
    return Violation(
        at=at,
        id=name,
        category=category,
        mode=mode,
        severity=severity,
        recipients=recipients,
        message=message if message is not None else f"message-{name}",
        strong=strong,
        indicator=indicator,
        burst=burst,
        hypothesis=hypothesis,
    )


def phish(days: float, name: str) -> list[Act]:
    """Two refused messages and the notice: one S3 incident."""
    return [
        act(day(days), name, "phishing.known", severity=3),
        act(day(days), f"{name}-second", "phishing.known", severity=3),
        noticed(days, name),
    ]


def spam(days: float, name: str, recipients: int, *, burst: bool = False) -> list[Act]:
    violation = act(day(days), name, "spam.outbound", recipients=recipients, burst=burst)
    return [violation, noticed(days, name)]


def noticed(days: float, name: str, minutes: int = 1) -> Noticed:
    return Noticed(at=day(days, minutes), violation_id=name)


def brief(acts: Sequence[Act], at: datetime, preset: Preset = "supervised") -> tuple[str, datetime | None, float]:
    """Rung, end and whole points."""
    found = standing(acts, at, preset)
    return found.rung, found.until, found.half_points / 2


def task(acts: Sequence[Act], position: int, preset: Preset = "supervised") -> Step | None:
    return incidents(acts, preset=preset)[position].task


# Walks and stories of 7.3


def test_walk_1_supervised() -> None:
    acts = phish(0, "d0")
    assert standing(acts, day(0, 5)) == NaiveStanding(
        rung="warned", until=None, features=LINKS, half_points=8, final_half_points=0, hold=True
    )
    assert not standing(acts, day(1)).hold

    acts += phish(1, "d1")
    assert standing(acts, day(1, 5)) == NaiveStanding(
        rung="restricted", until=day(8), features=LINKS, half_points=18, final_half_points=10, hold=False
    )
    assert task(acts, 1) == Step.SUSPEND_7D
    assert brief(acts, day(3)) == ("restricted", day(8), 7)
    assert brief(acts, day(8)) == ("warned", None, 7)

    acts += phish(8, "d8")
    assert brief(acts, day(8, 5)) == ("suspended", day(15), 12)
    assert task(acts, 2) == Step.SUSPEND_OPEN
    assert incidents(acts)[2].is_proposed

    acts += phish(15, "d15")
    assert brief(acts, day(15, 5)) == ("suspended", day(22), 17)
    assert task(acts, 3) == Step.SUSPEND_OPEN


def test_walk_2_attended() -> None:
    acts = phish(0, "d0") + phish(1, "d1")
    assert brief(acts, day(1, 5), "attended") == ("restricted", day(4), 9)
    assert brief(acts, day(4), "attended") == ("warned", None, 7)

    acts += phish(4, "d4")
    assert brief(acts, day(4, 5), "attended") == ("suspended", day(7), 12)
    assert task(acts, 2, "attended") == Step.SUSPEND_OPEN

    acts += phish(7, "d7")
    assert brief(acts, day(7, 5), "attended") == ("suspended", day(10), 17)


def test_walk_3_standing_order_without_termination() -> None:
    acts = phish(0, "d0") + phish(1, "d1")
    assert brief(acts, day(1, 5), "standing_order") == ("restricted", day(8), 9)

    acts += phish(8, "d8")
    assert brief(acts, day(8, 5), "standing_order") == ("suspended", None, 12)
    assert task(acts, 2, "standing_order") is None
    assert incidents(acts, preset="standing_order")[2].is_proposed

    acts.append(Objected(at=day(20), violation_id="d8", rung="suspend"))
    assert brief(acts, day(20, 5), "standing_order") == ("suspended", None, 12)
    assert standing(acts, day(21), "standing_order") == NaiveStanding(
        rung="restricted", until=None, features=LINKS, half_points=24, final_half_points=24, hold=False
    )
    acts.append(Answered(at=day(22), violation_id="d8", rung="suspend"))
    assert brief(acts, day(22), "standing_order") == ("warned", None, 12)


def walk_4() -> list[Act]:
    # Five points on D0 take an earlier strike: the first incident would only warn.
    before = spam(-5, "before", 300) + spam(0, "d0", 300)
    return before + spam(2, "d2", 30) + spam(10, "d10", 30)


def test_walk_4_between_thresholds() -> None:
    acts = walk_4()
    assert brief(acts, day(0, 5)) == ("restricted", day(7), 5)
    assert brief(acts, day(2, 5)) == ("restricted", day(9), 7)
    assert brief(acts, day(9)) == ("warned", None, 7)
    assert brief(acts, day(10, 5)) == ("suspended", day(17), 9)

    acts.append(Annulled(at=day(11), violation_id="d2"))
    assert brief(acts, day(10, 5)) == ("suspended", day(17), 9)
    assert standing(acts, day(11)) == NaiveStanding(
        rung="restricted", until=day(17), features=SPAM, half_points=14, final_half_points=14, hold=False
    )

    acts += [act(day(12), "d12", "spam.advert", mode="B", severity=1), noticed(12, "d12")]
    assert brief(acts, day(12, 5)) == ("restricted", day(17), 8)
    last = incidents(acts)[-1]
    assert [span.rung for span in last.imposed] == ["warn"]
    assert last.task == Step.SUSPEND_7D


def compromised_burst() -> list[Act]:
    """Story 1: a burst with an indicator from 02:10 on, then a URL hit in one of its templates, then another one."""
    return [
        act(START, "burst", "spam.outbound", recipients=100, message="t1", indicator=True, burst=True),
        act(day(0, 1), "url", "phishing.known", severity=3, message="t1", hypothesis="compromised"),
        act(day(0, 2), "other", "phishing.known", severity=3, message="t2", hypothesis="compromised"),
        noticed(0, "burst", 3),
    ]


def test_story_s1_compromised_burst_warns_and_locks() -> None:
    acts = compromised_burst()
    assert [incident.members for incident in incidents(acts)] == [("burst", "url", "other")]
    assert standing(acts, day(0, 5)) == NaiveStanding(
        rung="warned", until=None, features=frozenset({"sending"}), half_points=8, final_half_points=0, hold=True
    )
    # Nobody attests: final at two points, and the hold goes on as a trickle.
    assert standing(acts, day(3)) == NaiveStanding(
        rung="warned", until=None, features=frozenset({"trickle"}), half_points=4, final_half_points=4, hold=True
    )


def test_story_s2_mode_b_becomes_whole_and_restricts_the_third_time() -> None:
    acts: list[Act] = [act(day(30), "d30", "spam.advert", mode="B", severity=1), noticed(30, "d30")]
    assert brief(acts, day(30, 5)) == ("warned", None, 0.5)

    acts += [act(day(60), "d60", "spam.advert", mode="B", severity=1), noticed(60, "d60")]
    assert brief(acts, day(60, 5)) == ("warned", None, 3)
    assert task(acts, 1) == Step.RESTRICT_24H

    acts += [act(day(90), "d90", "spam.advert", mode="B", severity=1), noticed(90, "d90")]
    assert brief(acts, day(90, 5)) == ("restricted", day(91), 5)
    assert standing(acts, day(90, 5)).features == {"bulk"}
    assert brief(acts, day(90, 5), "attended") == ("warned", None, 5)
    assert brief(acts, day(90, 5), "standing_order") == ("restricted", day(97), 5)


def gamble(days: float, name: str, *, burst: bool = False) -> list[Act]:
    """400 mails that are gambling by B signals and spam in mode A."""
    return [
        act(day(days), f"{name}-text", "illegal.gambling", mode="B", severity=2, recipients=400, message=name),
        act(day(days), f"{name}-bulk", "spam.outbound", recipients=400, message=name, burst=burst),
        noticed(days, f"{name}-text"),
    ]


def test_story_s3_gambling() -> None:
    acts = gamble(0, "d0", burst=True)
    assert standing(acts, day(0, 5)) == NaiveStanding(
        rung="warned", until=None, features=LINKS | SPAM, half_points=4, final_half_points=0, hold=True
    )
    assert len(incidents(acts)) == 1

    acts += gamble(2, "d2", burst=True)
    assert brief(acts, day(2, 5)) == ("restricted", day(3), 5)
    assert task(acts, 1) == Step.RESTRICT_7D
    assert not standing(acts, day(2, 5)).hold

    acts += gamble(4, "d4", burst=True)
    assert brief(acts, day(4, 5)) == ("suspended", day(11), 8)
    assert task(acts, 2) is None

    acts += gamble(11, "d11", burst=True)
    assert brief(acts, day(11, 5)) == ("suspended", day(18), 11)
    assert task(acts, 3) == Step.SUSPEND_OPEN
    assert incidents(acts)[3].is_proposed


def test_story_s5_school_objects_and_is_cleared() -> None:
    acts = spam(0, "d0", 600, burst=True) + spam(2, "d2", 600) + spam(5, "d5", 600)
    assert brief(acts, day(0, 5)) == ("warned", None, 2)
    assert brief(acts, day(2, 5)) == ("restricted", day(3), 5)
    assert brief(acts, day(5, 2)) == ("suspended", day(12), 8)

    acts.append(Objected(at=day(5, 5), violation_id="d5", rung="suspend"))
    assert brief(acts, day(6, 4)) == ("suspended", day(12), 8)
    assert brief(acts, day(6, 5)) == ("restricted", day(12), 8)
    assert standing(acts, day(6, 5)).features == SPAM

    acts += [Annulled(at=day(6, 240), violation_id=name) for name in ("d0", "d2", "d5")]
    assert standing(acts, day(6, 240)) == NaiveStanding(
        rung="good", until=None, features=NOTHING, half_points=0, final_half_points=0, hold=False
    )


def test_three_bursts_on_days_0_2_and_4() -> None:
    acts = spam(0, "d0", 300, burst=True)
    assert standing(acts, day(0, 5)) == NaiveStanding(
        rung="warned", until=None, features=SPAM, half_points=4, final_half_points=0, hold=True
    )
    assert standing(acts, day(1)).features == NOTHING
    acts += spam(2, "d2", 300, burst=True)
    assert brief(acts, day(2, 5)) == ("restricted", day(3), 5)
    acts += spam(4, "d4", 300, burst=True)
    assert brief(acts, day(4, 5)) == ("suspended", day(11), 8)
    assert brief(acts, day(11)) == ("warned", None, 8)


# Incidents


def test_good_without_acts() -> None:
    assert brief([], START) == ("good", None, 0)
    assert incidents([]) == ()


def test_incident_window_and_early_close() -> None:
    first = act(START, "first", "spam.advert", severity=1)
    inside = act(day(1), "inside", "spam.advert", severity=1)
    outside = act(day(1, 1), "outside", "spam.advert", severity=1)
    found = incidents([first, inside, outside])
    assert [incident.members for incident in found] == [("first", "inside"), ("outside",)]
    assert not found[1].is_after_notice

    in_flight = act(day(0, 61), "in-flight", "spam.advert", severity=1)
    after = act(day(0, 62), "after", "spam.advert", severity=1)
    found = incidents([first, noticed(0, "first"), in_flight, after])
    assert [incident.members for incident in found] == [("first", "in-flight"), ("after",)]
    assert found[0].closed_at == day(0, 61)
    assert (found[1].is_after_notice, found[1].half_points) == (True, 4)


def test_a_shared_message_links_families_to_the_older_incident() -> None:
    acts = [
        act(day(0, 0), "spam", "spam.advert", severity=1, message="m1"),
        act(day(0, 1), "adult", "adult.obscene", mode="B", severity=2, message="m2"),
        act(day(0, 2), "both", "adult.obscene", mode="B", severity=2, message="m1"),
    ]
    assert [incident.members for incident in incidents(acts)] == [("spam", "both"), ("adult",)]


def test_severity_that_rises_reissues_as_max_and_imposes_more() -> None:
    acts = spam(-5, "before", 300)
    acts += [
        act(day(0), "few", "spam.outbound", recipients=60),
        act(day(0, 10), "more", "spam.outbound", recipients=30),
        act(day(0, 20), "many", "spam.outbound", recipients=10),
    ]
    assert brief(acts, day(0, 10)) == ("restricted", day(1), 4)
    assert brief(acts, day(0, 20)) == ("restricted", day(7, 20), 5)
    assert [span.step for span in incidents(acts)[1].imposed] == [Step.RESTRICT_24H, Step.RESTRICT_7D]


def test_advisory_violations_change_nothing() -> None:
    advisory: tuple[tuple[Mode, bool], ...] = (("C1", True), ("C2", True), ("A", False), ("B", False))
    for mode, strong in advisory:
        ghost = act(
            day(-0.5), "ghost", "malware", mode=mode, severity=3, message="shared", strong=strong, indicator=True
        )
        acts: list[Act] = [act(START, "real", "spam.advert", severity=1, message="shared")]
        assert incidents([ghost, *acts]) == incidents(acts)
        assert standing([ghost, *acts], day(1)) == standing(acts, day(1))


def test_severity_four_gives_no_points() -> None:
    acts: list[Act] = [act(START, "s4", "illegal.gambling", mode="B", severity=4)]
    assert brief(acts, day(0, 1)) == ("good", None, 0)


def test_strikes_fade_whole_by_severity() -> None:
    for severity, life, points in ((1, 90, 1), (2, 180, 2), (3, 365, 4)):
        acts: list[Act] = [act(START, "one", "impersonation.exact", severity=severity)]
        assert brief(acts, day(life, -1)) == ("warned", None, points)
        assert brief(acts, day(life)) == ("good", None, 0)


# Evaluation


def test_first_incident_warns_only_unless_malicious() -> None:
    acts: list[Act] = [act(START, "one", "impersonation.exact", severity=3)]
    assert brief(acts, day(0, 1)) == ("warned", None, 4)
    assert task(acts, 0) == Step.RESTRICT_24H

    acts = [act(START, "one", "malware", severity=3, hypothesis="malicious", indicator=True)]
    assert standing(acts, day(0, 1)) == NaiveStanding(
        rung="restricted",
        until=day(1),
        features=frozenset({"attachments"}),
        half_points=8,
        final_half_points=8,
        hold=False,
    )


def test_first_malware_holds_on_the_second_message_only() -> None:
    one = act(START, "one", "malware", severity=3, message="m1")
    again = act(day(0, 1), "again", "malware", severity=3, message="m1")
    second = act(day(0, 2), "second", "malware", severity=3, message="m2")
    assert not standing([one, again], day(0, 2)).hold
    found = standing([one, again, second], day(0, 2))
    assert found.hold
    assert found.features == {"attachments"}
    assert standing([one, again, second], day(1, 1)).hold
    assert not standing([one, again, second], day(1, 2)).hold


@pytest.mark.parametrize(
    ("severity", "minutes", "step"),
    [(1, 24 * 60, Step.RESTRICT_7D), (2, 4 * 60, Step.RESTRICT_7D), (3, 60, Step.SUSPEND_7D)],
)
def test_grace_after_the_notice_by_its_severity(severity: int, minutes: int, step: Step) -> None:
    first: list[Act] = [
        act(START, "one", "impersonation.exact", severity=severity),
        Noticed(at=START, violation_id="one"),
    ]
    inside = act(day(0, minutes), "two", "spam.outbound", recipients=1000)
    outside = act(day(0, minutes + 1), "two", "spam.outbound", recipients=1000)
    assert standing([*first, inside], day(2)).rung == "warned"
    assert task([*first, inside], 1) == step
    assert [span.step for span in incidents([*first, outside])[1].imposed] == [step]


def test_second_zero_tolerance_incident_has_no_grace() -> None:
    later = act(day(0, 120), "two", "spam.outbound", recipients=1000, burst=True)
    assert brief([*spam(0, "one", 300, burst=True), later], day(0, 120)) == ("restricted", day(7, 120), 7)
    assert brief([*spam(0, "one", 300), later], day(0, 120)) == ("warned", None, 7)


def test_without_a_notice_in_between_nothing_rises() -> None:
    acts: list[Act] = [
        act(START, "one", "spam.advert", mode="B", severity=2),
        act(day(2), "two", "spam.advert", mode="B", severity=2),
    ]
    assert brief(acts, day(2)) == ("warned", None, 2)
    assert brief([*acts, noticed(2, "one")], day(3)) == ("warned", None, 2)
    assert brief([acts[0], noticed(1, "one"), acts[1]], day(2)) == ("warned", None, 5)


@pytest.mark.parametrize(("days", "rest"), [(97, Step.RESTRICT_7D), (117, None)])
def test_probation_lowers_what_is_warranted_for_thirty_days(days: int, rest: Step | None) -> None:
    acts = [known for at in (0, 2, 4, 6, 80) for known in spam(at, f"d{at}", 30)]
    assert brief(acts, day(80, 5)) == ("suspended", day(87), 9)
    acts += spam(days, "new", 30)
    assert brief(acts, day(days, 5)) == ("restricted", day(days + 1), 4)
    assert task(acts, 5) == rest


def test_grace_follows_grace() -> None:
    """The text as it stands: an S1 incident every 20 h, noticed at once, is never more than warned."""
    acts = [known for number in range(10) for known in spam(number * 20 / 24, f"v{number}", 30)]
    assert brief(acts, day(8)) == ("warned", None, 19)
    assert incidents(acts)[-1].is_proposed


def test_incident_under_objection_is_not_confirmed_by_repetition() -> None:
    first: list[Act] = [act(START, "one", "spam.advert", mode="B", severity=2), noticed(0, "one")]
    second = act(day(3), "two", "spam.advert", mode="B", severity=2)
    objected = Objected(at=day(1), violation_id="one", rung="warn")
    answered = Answered(at=day(2), violation_id="one", rung="warn")
    assert brief([*first, second], day(3)) == ("warned", None, 5)
    assert brief([*first, objected, second], day(3)) == ("warned", None, 2.5)
    assert brief([*first, objected, answered, second], day(3)) == ("warned", None, 5)


def test_confirming_makes_mode_b_whole_and_imposes_nothing() -> None:
    acts: list[Act] = [act(START, "one", "fraud.bec", mode="B", severity=3)]
    assert brief(acts, day(1)) == ("warned", None, 2)
    acts.append(Confirmed(at=day(2), violation_id="one", rung="warn"))
    assert brief(acts, day(2)) == ("warned", None, 4)


def test_mixed_incident_leaves_the_rest_as_a_task() -> None:
    acts = spam(0, "one", 30)
    acts += [
        act(day(2), "text", "fraud.bec", mode="B", severity=3, message="m"),
        act(day(2), "bulk", "spam.outbound", recipients=300, message="m"),
        Confirmed(at=day(2, 1), violation_id="bulk", rung="restrict"),
    ]
    # Half of 4 + 1 is 2.5, mode A is 2 + 1: total 4, of which 4 in mode A; the person's word adds 2 and no rung.
    assert brief(acts, day(2)) == ("restricted", day(3), 4)
    assert brief(acts, day(2, 1)) == ("restricted", day(3), 6)


def test_same_rung_again_extends_the_effective_end() -> None:
    acts = spam(-5, "a", 300) + spam(0, "b", 300) + spam(1, "c", 30)
    assert brief(acts, day(1, 5)) == ("restricted", day(8), 7)


# Persons


def suspended() -> list[Act]:
    return spam(-9, "a", 1000) + spam(-7, "b", 1000) + spam(0, "c", 1000)


def test_lift_ends_the_sanction_and_keeps_the_strike() -> None:
    acts = [*suspended(), Lifted(at=day(2), violation_id="c", rung="suspend")]
    assert brief(acts, day(1)) == ("suspended", day(7), 14)
    assert brief(acts, day(2)) == ("warned", None, 14)


def test_lapse_of_attended_is_cancelled_by_confirmation() -> None:
    acts = suspended()
    assert brief(acts, day(1), "attended") == ("suspended", day(3), 14)
    acts.append(Confirmed(at=day(1), violation_id="c", rung="suspend"))
    assert brief(acts, day(1), "attended") == ("suspended", day(7), 14)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ([], "restricted"),
        ([Answered(at=day(1, 60), violation_id="c", rung="suspend")], "suspended"),
        ([Answered(at=day(2), violation_id="c", rung="suspend")], "restricted"),
        ([Confirmed(at=day(0, 60), violation_id="c", rung="suspend")], "suspended"),
    ],
)
def test_unanswered_objection_steps_down(extra: list[Act], expected: str) -> None:
    acts = [*suspended(), Objected(at=day(1), violation_id="c", rung="suspend"), *extra]
    assert standing(acts, day(2)).rung == expected
    assert standing(acts, day(7)).rung == "warned"


def test_unanswered_objection_ends_a_restriction() -> None:
    acts = [*spam(-5, "a", 300), *spam(0, "b", 300), Objected(at=day(0, 10), violation_id="b", rung="restrict")]
    assert brief(acts, day(1, 9)) == ("restricted", day(7), 5)
    assert brief(acts, day(1, 10)) == ("warned", None, 5)


def test_annulled_first_strike_takes_the_step_after_notice_with_it() -> None:
    acts = [*spam(-5, "a", 300), *spam(0, "b", 300), Annulled(at=day(1), violation_id="a")]
    assert brief(acts, day(1)) == ("warned", None, 2)


def test_answer_ends_what_was_imposed_open_ended_although_a_replay_gave_it_an_end() -> None:
    acts = [*phish(-9, "a"), *spam(-5, "b", 300), *phish(0, "c"), *phish(2, "d")]
    acts.append(Lifted(at=day(2, 30), violation_id="c", rung="suspend"))
    acts.append(Objected(at=day(2, 60), violation_id="d", rung="suspend"))
    answered: list[Act] = [Answered(at=day(4, 60), violation_id="d", rung="suspend")]
    assert brief(acts, day(3), "standing_order") == ("suspended", None, 14)
    assert brief([*acts, *answered], day(4, 60), "standing_order") == ("warned", None, 14)
    acts.append(Annulled(at=day(4), violation_id="c"))
    assert brief(acts, day(4, 60), "standing_order") == ("restricted", day(9), 9)
    assert brief([*acts, *answered], day(4, 60), "standing_order") == ("warned", None, 9)


# Properties


def random_acts(seed: int) -> list[Act]:
    rng = random.Random(seed)
    at, acts, names = START, list[Act](), list[str]()
    rungs: tuple[Rung, ...] = ("warn", "restrict", "suspend")
    for number in range(30):
        at += timedelta(hours=rng.choice((0, 1, 3, 12, 24, 60)), minutes=rng.choice((0, 7)))
        pick = rng.random()
        if pick < 0.5 or not names:
            category = rng.choice(("spam.outbound", "spam.advert", "phishing.known", "illegal.gambling"))
            names.append(f"v{number}")
            acts.append(
                act(
                    at,
                    names[-1],
                    category,
                    mode=rng.choice(("A", "A", "B", "C2")),
                    severity=None if category == "spam.outbound" else rng.randint(1, 4),
                    recipients=rng.choice((1, 60, 300, 1000)),
                    message=f"m{rng.randint(0, 12)}",
                    strong=rng.random() < 0.9,
                    indicator=rng.random() < 0.1,
                    burst=rng.random() < 0.1,
                    hypothesis=rng.choice(("unknown", "unknown", "compromised", "malicious")),
                )
            )
        elif pick < 0.8:
            acts.append(Noticed(at=at, violation_id=rng.choice(names[-2:])))
        else:
            kind = rng.choice((Lifted, Confirmed, Objected, Answered))
            acts.append(kind(at=at, violation_id=rng.choice(names), rung=rng.choice(rungs)))
    return acts


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("preset", ["attended", "supervised", "standing_order"])
def test_annulment_never_raises(seed: int, preset: Preset) -> None:
    acts = random_acts(seed)
    end = acts[-1].at
    names = [known.id for known in acts if isinstance(known, Violation)]
    for name in (names[0], names[len(names) // 2]):
        annulled = [*acts, Annulled(at=end, violation_id=name)]
        for hours in (0, 24, 24 * 6):
            at = end + timedelta(hours=hours)
            old, new = standing(acts, at, preset), standing(annulled, at, preset)
            assert RUNGS.index(new.rung) <= RUNGS.index(old.rung)
            assert new.half_points <= old.half_points
            assert new.features <= old.features or old.rung == "suspended"


@pytest.mark.parametrize("seed", range(8))
def test_standing_needs_no_later_acts_and_falls_by_time_alone(seed: int) -> None:
    acts = random_acts(seed)
    for position, known in enumerate(acts):
        until_now = [earlier for earlier in acts if earlier.at <= known.at]
        assert standing(until_now, known.at) == standing(acts, known.at)
        if position % 10 == 0:
            ranks = [
                RUNGS.index(standing(until_now, known.at + timedelta(hours=hours)).rung)
                for hours in range(0, 24 * 12, 29)
            ]
            assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("seed", range(8))
def test_arrival_order_at_one_instant_changes_no_points(seed: int) -> None:
    rng = random.Random(seed)
    start = [*spam(-5, "before", 300), *spam(-3, "again", 300)]
    burst: list[Act] = [
        act(START, f"v{number}", "spam.outbound", mode=rng.choice(("A", "B")), recipients=rng.choice((1, 60, 300)))
        for number in range(4)
    ]
    burst.append(act(START, "advert", "spam.advert", mode="B", severity=1))
    expected = standing([*start, *burst], START)
    rng.shuffle(burst)
    assert standing([*start, *burst], START) == expected


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="naive datetime"):
        standing([act(datetime(2025, 3, 3), "one", "malware", severity=3)], START)
    with pytest.raises(ValueError, match="severity missing"):
        standing([act(START, "one", "malware")], START)
    with pytest.raises(ValueError, match="twice"):
        standing([act(START, "one", "malware", severity=3)] * 2, START)
