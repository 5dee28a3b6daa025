"""Killed at every named place, one mail or more in hand, and tried again: nothing lost, no double strike.  FAULTS §2.

The kill campaign in its short form (tests/chaos, ops/docs/CHAOS.md): real Postfix in front, filterd as one process, a
sink on disk behind. `make chaos` is the long form, with workers and with PostgreSQL.
"""

from __future__ import annotations

import pytest

from filterd.markers import HELD_MARKERS, MARKERS
from tests.chaos.campaign import Outcome, run
from tests.chaos.table import table
from tests.conftest import record_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

# There the next hop has a mail for which the client has no answer: a duplicate cannot be avoided.
MUST_DOUBLE = ("smtp.relayed", "smtp.recorded")

# link.answering has no turn where all is one process.
PLACES = {name for name, _ in (*MARKERS, *HELD_MARKERS)} - {"link.answering"}


@pytest.fixture(scope="module")
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """Every place has killed once, where all is one process."""
    places = len(PLACES)
    outcome = run(
        store="sqlite", workers=0, mails=450, kills=places, seed="short", ways=lambda phase: phase.place is not None
    )
    for name, version in outcome.servers.items():
        record_server(request.config, name, version)
    print(table([outcome]))
    return outcome


def test_every_place_has_killed(outcome: Outcome):
    assert outcome.killed.keys() == PLACES


def test_no_promise_is_broken(outcome: Outcome):
    """Lost, altered, struck twice, without evidence, twice without a cause, ledger and stream apart: chaos/oracle."""
    assert outcome.judgement.broken == []
    assert outcome.judgement.lost == []
    assert outcome.judgement.double_strikes == []


def test_the_kills_had_mail_in_hand(outcome: Outcome):
    assert outcome.judgement.tries > outcome.judgement.mails + len(outcome.kills)
    assert sum(outcome.judgement.doubled_at[place] for place in MUST_DOUBLE) > 0, "the kill came too early"


def test_each_duplicate_is_named(outcome: Outcome):
    assert outcome.judgement.doubled
    for doubled in outcome.judgement.doubled:
        assert doubled.fingerprint
        assert len(set(doubled.transaction_ids)) > 1


def test_the_whole_ladder_was_climbed_and_told(outcome: Outcome):
    judgement = outcome.judgement
    assert judgement.violations > 100
    assert judgement.sanctions > 50
    assert judgement.notices > 0
