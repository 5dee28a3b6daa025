"""What the rules promise to be shown has a named test: properties, cases, walks and stories.  STANDING §5.4, §5.7, §7.

The table is tests/standing.toml; the names stand here once more, so that none can get lost there. What no test holds is
said aloud.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit import named

pytestmark = pytest.mark.slow

PROPERTIES = """
standing_is_fold no_ground_no_sanction c1_locked c2_ceiling incident_never_silent no_imposition_without_act
lapse_consumes_nothing points_max_not_sum auto_needs_a_points idempotent headers_never_exempt script_never_raises
replay_never_raises contestable_while_counting hold_conserves_mail order_independent natural_days views_leak_nothing
two_people rehearsal_inert
"""
TRANSITIONS, EDGES = 13, 25
CASES = """
first_incident_warns_only first_malware_single_refused_no_hold grace_s1_s2_s3 b_half_then_whole
b_restrict_third_after_notice mixed_ab_task_for_rest probation_new_incident_only objection_unanswered_steps_down
objection_once_per_sanction holiday_eight_days_no_staff s4_page_one_hour standing_order_each_condition
standing_order_veto attestation_1_2_3 attester_is_holder unattested_final_two forward_phish_to_it reply_is_this_real
self_sent_seed_not_received_first list_id_costume authorised_drill_inside_outside_expired declared_stream_each_condition
payroll_200_ids casino_hotel school_notice_gate hanzi_must_pass tenant_score_seats_1_5_50_5000 hydra_successor_mailbox
one_seat_tenant supplement_one_signature statute_order_needs_two al_written_notice_first cure_unanswered_three_days
reseller_idle_quota deemed_withdrawn_on_our_failure delayed_notice_needs_register bcc_rule_refused
breaker_attacker_keeps_holds pair_appeal_of_termination solo_self_review emergency_lock_opens_after_4h
outbound_hold_returns_24h migration_import_no_points reg_evasion_contact_alone decommission_order
unmapped_label_advisory rung_reach_table
"""
WALKS = "1_supervised 2_attended 3_standing_order 4_between_thresholds"
STORIES = "s1_compromised_burst s2_newsletter s3_gambling s4_reseller s5_innocent_school"


def names() -> dict[str, set[str]]:
    """Say every name, by kind."""
    cases = {f"5_4_{n:02}" for n in range(1, TRANSITIONS + 1)} | {f"5_7_{n:02}" for n in range(1, EDGES + 1)}
    return {
        "property": {f"prop_{name}" for name in PROPERTIES.split()},
        "case": {f"case_{name}" for name in {*CASES.split(), *cases}},
        "walk": {f"walk_{name}" for name in WALKS.split()},
        "story": {f"story_{name}" for name in STORIES.split()},
    }


def table() -> dict[str, dict[str, dict[str, Any]]]:
    return named.read("tests/standing.toml")


@pytest.mark.parametrize("kind", sorted(names()))
def test_every_name_of_the_rules_is_in_the_table_and_no_other(kind: str) -> None:
    assert sorted(table()) == sorted(names())
    assert set(table()[kind]) == names()[kind]


@pytest.mark.parametrize("kind", sorted(names()))
def test_every_test_that_a_name_rests_on_is_there(kind: str) -> None:
    named.check_tests(table()[kind])


@pytest.mark.parametrize("kind", sorted(names()))
def test_what_no_test_holds_is_said_aloud(kind: str) -> None:
    named.say_missing(table()[kind])
