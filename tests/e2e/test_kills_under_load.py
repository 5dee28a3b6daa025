"""Killed while mail flows, one by one: a worker, the ledger, the supervisor, PostgreSQL, everything.  FAULTS §2, 1, 19.

The kill campaign (tests/chaos) with two workers, at no particular place; and the long runs of the night.
"""

from __future__ import annotations

import pytest

from tests.chaos.campaign import Outcome, run
from tests.chaos.phases import Phase, phases
from tests.chaos.site import Store
from tests.chaos.table import table
from tests.conftest import record_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def _at_any_time(phase: Phase) -> bool:
    return phase.place is None or phase.place == "link.answering"


def _judge(outcome: Outcome, request: pytest.FixtureRequest) -> None:
    for name, version in outcome.servers.items():
        record_server(request.config, name, version)
    print(table([outcome]))
    assert outcome.judgement.broken == []
    assert outcome.judgement.lost == []
    assert outcome.judgement.double_strikes == []
    assert outcome.killed.keys() == {phase.name for phase in outcome.ways}


def test_one_process_killed_at_a_time(request: pytest.FixtureRequest):
    """The others go on, and the supervisor starts another."""
    _judge(run(store="sqlite", workers=2, mails=250, kills=9, seed="roles", ways=_at_any_time), request)


def test_postgresql_killed(request: pytest.FixtureRequest):
    """Its crash is an absence: what was answered 250 is there, and nothing counts twice."""
    kinds = ("any time: postgresql", "ledger.commit")
    _judge(
        run(
            store="postgresql",
            workers=0,
            mails=200,
            kills=6,
            seed="postgresql",
            ways=lambda phase: phase.name.startswith(kinds),
        ),
        request,
    )


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_killed_a_hundred_times(request: pytest.FixtureRequest, store: Store):
    ways = len(phases(workers=2, store=store))
    outcome = run(store=store, workers=2, mails=4000, kills=3 * ways, seed=f"night.{store}")
    _judge(outcome, request)
