"""Two versions of an agreement, and what is undone, settled or contested between them.  STANDING 5.7-3, 5.7-7, 7.1.

An act is weighed again by the versions it was weighed by; whatever is in force now changes nothing of it, and no replay
raises anybody.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.agreement.annul import annul, excuse, replay
from filterd.agreement.appeal import contestable, window
from filterd.agreement.fold import apply, fold
from filterd.agreement.offence import commit_hypothesis
from filterd.agreement.sections import LadderStep
from filterd.agreement.standing import standing_at
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import decide_between, in_force, milder_of, pinned_by, severity, shelved
from filterd.model import records as r
from filterd.model.sanction import Preset, Rung
from filterd.model.standing import MALICIOUS, History
from tests.agreement.cases import NOON, case
from tests.agreement.test_versions import CHANGE, step, version

pytestmark = pytest.mark.slow

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WARN = step(0.5, "warn")
# By the old one the third act restricts for a day; by the new one the second suspends.
OLD = version("old", CHANGE - 900 * DAY, (WARN, step(8, "restrict", 24), step(20, "suspend", 24)))
NEW = version("new", NOON + 7 * DAY, (WARN, step(3, "suspend", 168), step(8, "suspend")))
HEAD = shelved([OLD, NEW], NOON)[OLD.id]
PACKS = {x.digest: x for x in (OLD, NEW)}


class Past:
    """An account's records under versions. `late`: acts that are recorded days after they came."""

    def __init__(self, head: Agreement = HEAD, preset: Preset = Preset.SUPERVISED):
        self.head, self.preset = head, preset
        self.records: list[r.Record] = []
        self.history = History(account_id="a_1")

    def take(self, *rows: r.Record) -> None:
        for row in rows:
            self.records.append(row)
            self.history = apply(self.history, row)

    def act(self, number: int, at: datetime, decided_at: datetime | None = None) -> str:
        found = case(
            ["virus.signature.match"],
            at=at,
            transaction_id=f"t_{number}",
            evidence_key=f"e_{number}",
            text_fp=f"x_{number}",
            delivery_keys=(f"k_{number}",),
        )
        terms = in_force(self.head, at), in_force(self.head, decided_at or at)
        decision = decide_between(found, *terms, self.preset, self.history, found.delivery_keys)
        self.take(*decision.records)
        incident_id = self.history.incidents[-1].opened.incident_id
        told = r.NoticeSent(
            at=at,
            notice_id=f"m_{number}",
            account_id="a_1",
            incident_ids=(incident_id,),
            template="warning",
            languages=("en",),
            channel="mail",
            outcome="accepted",
            deemed_at=at + timedelta(minutes=5),
            body_digest="",
        )
        self.take(told)
        return decision.incident_id or incident_id

    def rung(self, at: datetime, rows: tuple[r.Record, ...] = (), terms: Agreement = NEW) -> Rung:
        return standing_at(fold("a_1", [*self.records, *rows]), terms, at).rung

    def annulled(self, incident_id: str, at: datetime, terms: Agreement = NEW) -> tuple[r.Record, ...]:
        return annul(
            "a_1",
            self.records,
            terms,
            self.preset,
            incident_id=incident_id,
            at=at,
            by="ann",
            reason="our error",
            packs=PACKS.get,
        ).records


def under_the_old_one() -> tuple[Past, list[str]]:
    """Three acts before the change, the last of which restricts."""
    past = Past()
    ids = [past.act(n, NOON + 2 * n * DAY) for n in range(3)]
    imposed = [x for x in past.records if isinstance(x, r.SanctionImposed)]
    assert imposed[-1].rung is Rung.RESTRICT
    return past, ids


def test_what_is_undone_after_a_change_is_weighed_again_by_the_version_of_its_time() -> None:
    past, ids = under_the_old_one()
    at = NOON + 4 * DAY + HOUR
    # By the new text the last act would suspend with and without the first: nothing would become milder.
    harsh = annul(
        "a_1", past.records, NEW, past.preset, incident_id=ids[0], at=at, by="ann", reason="our error"
    )
    assert past.rung(at, harsh.records) is Rung.RESTRICT
    assert past.rung(at, past.annulled(ids[0], at)) is Rung.WARN
    assert past.rung(at, past.annulled(ids[0], at, OLD)) is Rung.WARN


def test_the_same_for_what_was_not_its_user_s_doing() -> None:
    past, ids = under_the_old_one()
    at = NOON + 4 * DAY + HOUR
    rows = excuse(
        "a_1", past.records, NEW, past.preset,
        incident_ids=[ids[0]], at=at, by="ann", attestation_id="at_1", packs=PACKS.get,
    ).records  # fmt: skip
    assert past.rung(at, rows) is Rung.WARN


def test_replaying_with_nothing_left_out_says_what_was_said() -> None:
    past, _ = under_the_old_one()
    past.act(3, NOON + 9 * DAY)
    # One that came before the change and is decided after it: the milder counted, and counts again.
    past.act(4, NOON + 6.5 * DAY, NOON + 11 * DAY)
    past.act(5, NOON + 13 * DAY)
    again = replay("a_1", past.records, NEW, past.preset, without=set(), packs=PACKS.get)
    assert {x.imposed.sanction_id for x in again.sanctions} == {x.imposed.sanction_id for x in past.history.sanctions}
    assert [x.strike for x in again.incidents] == [x.strike for x in past.history.incidents]


def test_a_version_that_is_gone_or_does_not_know_the_category_weighs_nothing() -> None:
    past, _ = under_the_old_one()
    recorded = next(x for x in past.records if isinstance(x, r.ViolationRecorded))
    both = replace(recorded, policy_digest_act="old", policy_digest_decision="new")
    silent = version("new", CHANGE, category=(), rule=(), bulk=())
    assert pinned_by(both, NEW, PACKS.get) == (OLD, NEW)
    assert pinned_by(both, NEW, {"old": OLD, "new": silent}.get) == (OLD,)
    assert pinned_by(both, NEW, {}.get) == (NEW,)


def test_a_person_who_settles_whose_doing_it_was_does_so_by_the_milder_version() -> None:
    past = Past()
    incident_id = past.act(0, NOON)
    settled = r.HypothesisSettled(
        at=NOON + 8 * DAY,
        account_id="a_1",
        incident_id=incident_id,
        hypothesis=MALICIOUS,
        by="ann",
        reason="a drop account",
    )
    each = {x.digest: commit_hypothesis(past.history, settled, x, past.preset) for x in (OLD, NEW)}
    assert severity(each["new"].records)[0] is Rung.SUSPEND
    assert severity(each["old"].records)[0] < Rung.SUSPEND
    for order in ((OLD, NEW), (NEW, OLD)):
        terms, outcome = milder_of(lambda x: commit_hypothesis(past.history, settled, x, past.preset), order)
        assert (terms.digest, outcome.records) == ("old", each["old"].records)
    # And a replay of it stays with the version of the act.
    past.take(*each["old"].records)
    again = replay("a_1", past.records, NEW, past.preset, without=set(), packs=PACKS.get)
    assert max((x.imposed.rung for x in again.sanctions), default=Rung.NONE) < Rung.SUSPEND


@pytest.mark.parametrize(("before", "after"), [(180, 30), (30, 180)])
def test_the_longer_of_two_windows_to_appeal_counts(before: int, after: int) -> None:
    def with_days(terms: Agreement, days: int) -> Agreement:
        lifecycle = terms.lifecycle
        assert lifecycle is not None
        return terms.model_copy(update={"lifecycle": lifecycle.model_copy(update={"appeal_warning_days": days})})

    old, new = with_days(OLD, before), with_days(NEW, after)
    past = Past()
    past.act(0, NOON)
    (incident,) = past.history.incidents
    assert incident.strike is not None
    incident = replace(incident, strike=replace(incident.strike, expires_at=NOON + DAY))
    history = replace(past.history, incidents=(incident,))
    closes = window(incident, history, new, old).closes_at
    assert closes is not None
    assert closes > NOON + 180 * DAY
    at = NOON + 100 * DAY
    assert contestable(history, new, at, terms_at=lambda _: old) != ()
    alone = contestable(history, new, at)
    assert (alone == ()) is (after == 30)


ladders = st.lists(
    st.tuples(st.sampled_from(["restrict", "suspend"]), st.sampled_from([1, 24, 168, None])), max_size=3
).map(lambda rest: (WARN, *(step(1 + 3 * i, *x) for i, x in enumerate(sorted(rest, key=lambda x: x[0])))))


@settings(max_examples=60, deadline=None)
@given(
    first=ladders,
    second=ladders,
    gaps=st.lists(st.floats(min_value=0.1, max_value=4), min_size=2, max_size=6),
    lateness=st.lists(st.floats(min_value=0, max_value=9), min_size=6, max_size=6),
    change=st.floats(min_value=0, max_value=12),
    pick=st.integers(min_value=0, max_value=5),
    preset=st.sampled_from(list(Preset)),
    current=st.sampled_from(["first", "second"]),
)
def test_prop_replay_with_two_versions_never_raises_anyone(
    first: tuple[LadderStep, ...],
    second: tuple[LadderStep, ...],
    gaps: list[float],
    lateness: list[float],
    change: float,
    pick: int,
    preset: Preset,
    current: str,
) -> None:
    """Whatever the versions, the order, the lateness, and whichever incident is undone: every sanction, and the
    standing at every hour, by either version, is at most what it was."""
    two = {
        "first": version("first", CHANGE - 900 * DAY, first),
        "second": version("second", NOON + change * DAY, second),
    }
    past = Past(shelved(two.values(), NOON)["tencent-exmail"], preset)
    at = NOON
    for number, gap in enumerate(gaps):
        at += gap * DAY
        past.act(number, at, at + lateness[number] * DAY)
    incidents = [i.opened.incident_id for i in past.history.incidents]
    now = at + 10 * HOUR
    undone = annul(
        "a_1", past.records, two[current], preset,
        incident_id=incidents[pick % len(incidents)], at=now, by="ann", reason="x", packs=two.get,
    )  # fmt: skip
    before, after = past.history, fold("a_1", [*past.records, *undone.records])
    for old, new in zip(before.sanctions, after.sanctions, strict=True):
        assert new.step <= old.step
        assert all(x.rung <= old.imposed.rung for x in new.replayed)
    for terms in two.values():
        for hours in range(0, 24 * 20, 7):
            then = now + hours * HOUR
            was, is_now = standing_at(before, terms, then), standing_at(after, terms, then)
            assert is_now.rung <= was.rung
            assert is_now.half_points <= was.half_points
            # A milder rung takes other things away than a harder one.
            if is_now.rung == was.rung:
                assert {x.name for x in is_now.features} <= {x.name for x in was.features}
