"""What a statement of reasons says, from histories made by the real ladder.  STANDING 2.6, 5.3-5.7, CLAUSES §7."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from filterd.agreement.statement import Statement, statement
from filterd.agreement.statement_parts import AutomatedDecision, NextStep
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Feature, Mode, Preset, Rung
from tests.workers.rig import SPAM, VIRUS, Story, at, first_virus, three_bursts


def facts(story: Story, hour: float, *sanction_ids: str, incident_id: str | None = None) -> Statement:
    wanted = incident_id or story.incident_id
    return statement(
        story.history,
        story.terms,
        at(hour),
        incident_id=wanted,
        sanction_ids=sanction_ids or story.sanction_ids(wanted),
        records=story.records,
    )


def test_a_first_virus_warns_holds_and_gives_provisional_points() -> None:
    story = first_virus()
    s = facts(story, 0.1)
    assert [(e.rung, e.features, e.ends_at) for e in s.effects] == [(Rung.WARN, (), at(0) + timedelta(days=365))]
    assert s.hold is not None
    assert (s.hold.features, s.hold.ends_at, s.hold.is_over) == ((Feature(name="attachments"),), at(24.05), False)
    assert (s.message_count, s.recipient_count, s.first_at, s.last_at) == (2, 3, at(0), at(0.05))
    assert (s.mode, s.mail_refused, s.is_after_notice) == (Mode.A, True, False)
    assert [(x.half_points, x.provisional_until, x.final_half_points) for x in s.shares] == [(8, at(72), 4)]
    assert s.due_step == NextStep(rung=Rung.RESTRICT, hours=24, half_points=8, proposes_termination=False)
    assert s.next_step == NextStep(rung=Rung.RESTRICT, hours=168, half_points=10, proposes_termination=False)


def test_the_ground_is_the_breached_clause_first_and_then_what_allows_the_sanction() -> None:
    s = facts(first_virus(), 0.1)
    assert [c.number for c in s.grounds] == ["3.3.2", "3.5.2", "3.6", "4.3.1"]
    assert s.grounds[0].en.startswith("The service is not used to spread computer viruses")
    assert s.grounds[0].zh.startswith("不得利用本服务传播计算机病毒")


def test_a_hold_alone_cites_what_the_mail_was_stopped_under_and_no_sanction() -> None:
    story = first_virus()
    s = statement(story.history, story.terms, at(0.1), incident_id=story.incident_id, sanction_ids=())
    assert (s.effects, [c.number for c in s.grounds]) == ((), ["3.3.2", "3.5.2"])
    assert s.automated_decision is AutomatedDecision.FULLY


def test_points_that_nobody_confirmed_become_the_few_they_were_said_to() -> None:
    story = first_virus()
    promised = facts(story, 71).shares[0].final_half_points
    assert [(x.half_points, x.provisional_until) for x in facts(story, 73).shares] == [(promised, None)]


def test_a_suspension_says_its_end_the_next_step_and_the_probation() -> None:
    story = three_bursts()
    s = facts(story, 96.1)
    main = s.effects[0]
    assert (main.rung, main.ends_at, main.lapses_at, main.steps_down) == (Rung.SUSPEND, at(264), None, True)
    assert (s.half_points, s.is_after_notice) == (16, True)
    assert [x.fades_at for x in s.shares] == [at(h) + timedelta(days=180) for h in (0, 48, 96)]
    top = NextStep(rung=Rung.SUSPEND, hours=None, half_points=24, proposes_termination=True)
    assert s.next_step == top
    assert (s.probation_days, s.after_suspension) == (30, replace(top, half_points=16))
    assert s.due_step is None


def test_in_probation_the_next_step_is_nearer() -> None:
    story = three_bursts()
    # The week of the suspension is over: 8 points now reach what takes 12 outside probation.
    s = facts(story, 265)
    assert s.due_step == NextStep(rung=Rung.SUSPEND, hours=None, half_points=16, proposes_termination=True)
    assert s.effects[0].is_over


def test_an_attended_suspension_says_when_it_lapses_and_how_long_it_is_when_confirmed() -> None:
    story = three_bursts(Preset.ATTENDED)
    main = facts(story, 96.1).effects[0]
    end = main.ends_at
    assert main.lapses_at == end
    assert end is not None
    assert main.stands_until is None or main.stands_until > end
    imposed = next(s.imposed for s in story.history.sanctions if s.imposed.sanction_id == main.sanction_id)
    story.take(
        r.SanctionConfirmed(
            at=at(97), sanction_id=main.sanction_id, incident_id=story.incident_id, by="mei", reason="seen"
        )
    )
    confirmed = facts(story, 98)
    assert (confirmed.effects[0].lapses_at, confirmed.effects[0].ends_at) == (None, imposed.ends_at)
    assert confirmed.effects[0].steps_down is False
    assert confirmed.automated_decision is AutomatedDecision.PARTIALLY


@pytest.mark.parametrize(
    ("is_automatic", "expected"),
    [(True, AutomatedDecision.FULLY), (False, AutomatedDecision.NOT_AUTOMATED)],
)
def test_who_decided_follows_the_sanction(is_automatic: bool, expected: AutomatedDecision) -> None:
    story = first_virus()
    sanctions = tuple(
        replace(s, imposed=replace(s.imposed, is_automatic=is_automatic)) for s in story.history.sanctions
    )
    story.history = replace(story.history, sanctions=sanctions)
    assert facts(story, 0.1).automated_decision is expected


def test_mail_found_through_complaints_alone_was_not_detected_automatically() -> None:
    story = first_virus()
    assert facts(story, 0.1).automated_detection is True
    story.records = [
        replace(x, violations=tuple(replace(v, finding_codes=("complaint.rate.high",)) for v in x.violations))
        if isinstance(x, r.ViolationRecorded)
        else x
        for x in story.records
    ]
    assert facts(story, 0.1).automated_detection is False


def test_a_contestable_strike_says_that_it_counts_half() -> None:
    story = Story()
    story.mail(0, SPAM)
    s = facts(story, 1)
    assert (s.mode, s.half_points, [x.is_half for x in s.shares]) == (Mode.B, 1, [True])
    story.mail(48, SPAM)
    assert [x.is_half for x in facts(story, 49).shares] == [False, False]


def test_an_objection_says_when_it_is_answered_and_steps_down_when_it_is_not() -> None:
    story = three_bursts()
    main = story.sanction_ids()[-1]
    story.object(97, main, story.incident_id)
    s = facts(story, 97.1, main)
    assert s.received is not None
    assert (s.received.at, s.received.answer_due_at, s.received.is_answered) == (at(97), at(121), False)
    later = facts(story, 122, main).effects[0]
    assert later.eased_to is not None
    assert Feature(name="bulk") in later.eased_to
    assert (later.rung, later.steps_down) == (Rung.SUSPEND, False)


def test_an_objection_still_to_be_answered_does_not_shorten_the_end() -> None:
    story = Story()
    story.mail(0, VIRUS)
    story.mail(24, VIRUS)
    main = story.sanction_ids()[-1]
    story.object(25, main, story.incident_id)
    assert facts(story, 26, main).effects[0].ends_at == at(192)
    over = facts(story, 50, main).effects[0]
    assert (over.is_over, over.ends_at) == (True, at(49))


def test_an_answered_objection_steps_nothing_down() -> None:
    story = three_bursts()
    main = story.sanction_ids()[-1]
    story.object(97, main, story.incident_id)
    story.take(r.ObjectionAnswered(at=at(98), appeal_id=derived_id("p", main), sanction_id=main, by="mei"))
    s = facts(story, 99, main)
    assert s.received is not None
    assert (s.received.is_answered, s.effects[0].steps_down) == (True, False)
    assert facts(story, 122, main).effects[0].eased_to is None


def test_an_annulment_says_what_was_in_force_for_how_many_minutes() -> None:
    story = three_bursts()
    ids = story.annul(97.51, story.incident_id)
    s = facts(story, 98, *ids)
    assert s.undone_at == at(97.51)
    # 1.51 hours are 90.6 minutes; a begun minute is a whole one.
    assert [(u.rung, u.since, u.until, u.minutes) for u in s.undone] == [(Rung.SUSPEND, at(96), at(97.51), 91)]
    assert s.effects[0].is_over


def test_an_annulled_warning_has_no_minutes() -> None:
    story = first_virus()
    s = facts(story, 2, *story.annul(1, story.incident_id))
    assert [(u.rung, u.minutes) for u in s.undone] == [(Rung.WARN, 0)]
    assert s.hold is not None
    assert (s.hold.is_over, s.hold.ends_at) == (True, at(1))
    assert s.shares == ()


def test_annulling_an_earlier_case_names_the_later_sanctions_it_eased() -> None:
    story = three_bursts()
    earlier = story.history.incidents[1].opened.incident_id
    later = story.incident_id
    s = facts(story, 100.1, *story.annul(100, earlier), incident_id=earlier)
    assert [(m.incident_id, m.imposed) for m in s.milder] == [(later, Rung.SUSPEND)]
    assert s.milder[0].rung < Rung.SUSPEND
    assert all(u.rung is not Rung.SUSPEND for u in s.undone)


def test_what_other_cases_have_in_force_is_said_beside() -> None:
    story = three_bursts()
    story.mail(97, VIRUS)
    s = facts(story, 97.1)
    assert [(o.rung, o.ends_at) for o in s.others if o.rung is Rung.SUSPEND] == [(Rung.SUSPEND, at(264))]
    assert story.incident_id not in {o.incident_id for o in s.others}


def test_a_clause_that_the_agreement_lacks_cannot_be_cited() -> None:
    story = first_virus()
    clauses = {key: clause for key, clause in story.terms.clause.items() if key != "3.5.2"}
    story.terms = story.terms.model_copy(update={"clause": clauses})
    with pytest.raises(UsageError, match=r"has no clause '3\.5\.2'"):
        facts(story, 0.1)


@pytest.mark.parametrize(
    ("incident_id", "sanction_ids"), [("i_unknown", ()), (None, ("s_unknown",))], ids=["incident", "sanction"]
)
def test_what_is_not_there_is_an_error(incident_id: str | None, sanction_ids: tuple[str, ...]) -> None:
    story = first_virus()
    with pytest.raises(UsageError, match="unknown"):
        facts(story, 0.1, *sanction_ids, incident_id=incident_id)


def test_no_field_could_hold_words_of_the_mail_or_scores() -> None:
    """The whole set, so that whoever adds a field looks at this rule: no mail text, recipient, rule name or score."""
    known = """
        account_id after_suspension answer_hours automated_decision automated_detection categories due_step effects
        first_at grounds half_points hold incident_id is_after_notice last_at mail_refused message_count milder mode
        next_step others probation_days received recipient_count shares undone undone_at
    """
    assert {f.name for f in fields(Statement)} == set(known.split())
