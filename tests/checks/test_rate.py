"""The rate check: behaviour against the account's own baseline."""

from __future__ import annotations

from typing import Any

import pytest

from filterd.checks import rate
from filterd.config import RateConfig
from filterd.model.decision import Counts
from filterd.model.principal import NOBODY
from filterd.model.session import Direction, Envelope, ForwardPath
from filterd.model.verdict import Outcome
from tests.checks.contexts import context, path, transaction

LIMITS = RateConfig()


def codes(**counts: Any) -> list[str]:
    return [f.code for f in rate.judge(Counts(**counts), LIMITS).findings]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, []),
        # An ordinary day.
        ({"messages_hour": 12, "recipients_10min": 9, "recipients_hour": 20, "baseline_recipients_day": 60.0}, []),
        # TX-3.4.4: a legitimate burst of 50 is not hit.
        ({"recipients_10min": 50, "recipients_hour": 50}, []),
        # The floor, with no baseline at all: 99 and 100.
        ({"recipients_10min": 99}, []),
        ({"recipients_10min": 100}, [rate.BURST]),
        # 480 a day are 10 in 10 minutes; ten times that is 100, and 100 is not above it.
        ({"recipients_10min": 100, "baseline_recipients_day": 480.0}, []),
        ({"recipients_10min": 101, "baseline_recipients_day": 480.0}, [rate.BURST]),
        ({"recipients_10min": 100, "baseline_recipients_day": 470.0}, [rate.BURST]),
        # 5,000 a day: 1,041 in 10 minutes are this account's own, 1,042 are not.
        ({"recipients_10min": 1041, "baseline_recipients_day": 5000.0}, []),
        ({"recipients_10min": 1042, "baseline_recipients_day": 5000.0}, [rate.BURST]),
        # Recipients in an hour: floor 60, five times an eighth of the day.
        ({"recipients_hour": 59}, []),
        ({"recipients_hour": 60}, [rate.RECIPIENTS]),
        ({"recipients_hour": 100, "baseline_recipients_day": 160.0}, []),
        ({"recipients_hour": 101, "baseline_recipients_day": 160.0}, [rate.RECIPIENTS]),
        # Messages in an hour.
        ({"messages_hour": 59}, []),
        ({"messages_hour": 60}, [rate.MESSAGES]),
        ({"messages_hour": 100, "baseline_recipients_day": 160.0}, []),
        # Unknown recipients: 20, unless they are ordinary bounces (3 %) of a large mailing.
        ({"unknown_hour": 19}, []),
        ({"unknown_hour": 20}, [rate.UNKNOWN]),
        ({"unknown_hour": 20, "recipients_hour": 40}, [rate.UNKNOWN]),
        ({"unknown_hour": 30, "recipients_hour": 970, "baseline_recipients_day": 9000.0}, []),
        ({"unknown_hour": 31, "recipients_hour": 970, "baseline_recipients_day": 9000.0}, [rate.UNKNOWN]),
        # Strangers: 60, and most of the hour's recipients.
        ({"strangers_hour": 59, "recipients_hour": 59}, []),
        ({"strangers_hour": 60, "recipients_hour": 119, "baseline_recipients_day": 900.0}, [rate.STRANGERS]),
        ({"strangers_hour": 60, "recipients_hour": 120, "baseline_recipients_day": 900.0}, []),
        # A tenant's 10 minutes: floor 300; 1,440 a day are 30 in 10 minutes, and ten times that is not above 300.
        ({"tenant_recipients_10min": 299}, []),
        ({"tenant_recipients_10min": 300}, [rate.TENANT]),
        ({"tenant_recipients_10min": 300, "tenant_baseline_recipients_day": 1440.0}, []),
        ({"tenant_recipients_10min": 301, "tenant_baseline_recipients_day": 1440.0}, [rate.TENANT]),
        # The account's own baseline is not the tenant's.
        ({"tenant_recipients_10min": 300, "baseline_recipients_day": 90_000.0}, [rate.TENANT]),
        # A client's hour: floor 500, five times an eighth of its day.
        ({"client_recipients_hour": 499}, []),
        ({"client_recipients_hour": 500}, [rate.CLIENT]),
        ({"client_recipients_hour": 500, "client_baseline_recipients_day": 800.0}, []),
        ({"client_recipients_hour": 501, "client_baseline_recipients_day": 800.0}, [rate.CLIENT]),
        ({"client_recipients_10min": 900, "client_messages_hour": 900, "tenant_recipients_hour": 900}, []),
    ],
)
def test_limits(counts: dict[str, Any], expected: list[str]) -> None:
    assert codes(**counts) == expected


def test_stolen_account_shows_everything() -> None:
    assert codes(
        messages_hour=400, recipients_10min=300, recipients_hour=900, unknown_hour=80, strangers_hour=850,
        baseline_recipients_day=12.0,
        clients_hour=5, client_is_new=True, strangers_baseline_day=2.0,
    ) == [
        rate.BURST, rate.RECIPIENTS, rate.MESSAGES, rate.UNKNOWN, rate.STRANGERS, rate.CLIENT_NEW, rate.CLIENTS,
        rate.UNLIKE,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"clients_hour": 4}, []),
        ({"clients_hour": 5}, [rate.CLIENTS]),
        ({"client_is_new": True}, [rate.CLIENT_NEW]),
        # Twenty strangers, nearly all of the hour's recipients, five times the day's habit.
        ({"strangers_hour": 20, "recipients_hour": 25, "baseline_recipients_day": 30.0}, [rate.UNLIKE]),
        ({"strangers_hour": 19, "recipients_hour": 19, "baseline_recipients_day": 30.0}, []),
        ({"strangers_hour": 20, "recipients_hour": 26, "baseline_recipients_day": 30.0}, []),
        (
            {
                "strangers_hour": 20,
                "recipients_hour": 20,
                "baseline_recipients_day": 30.0,
                "strangers_baseline_day": 4.0,
            },
            [],
        ),
        # Whoever has just begun to write has no habit.
        ({"strangers_hour": 40, "recipients_hour": 40}, []),
    ],
)
def test_what_speaks_for_somebody_else_than_the_user(counts: dict[str, Any], expected: list[str]) -> None:
    assert codes(**counts) == expected


def test_findings_are_behaviour_and_say_their_numbers() -> None:
    verdict = rate.judge(Counts(recipients_10min=120, baseline_recipients_day=48.0), LIMITS)
    finding = verdict.findings[0]
    assert (finding.signal, finding.confidence) == ("behaviour", 1.0)
    assert finding.why == (
        ("recipients_10min", "120"),
        ("floor", "100"),
        ("above", "10.0"),
        ("baseline_recipients_day", "48.0"),
    )


def test_limits_are_the_operator_s() -> None:
    verdict = rate.judge(Counts(recipients_10min=10), RateConfig(burst_recipients_10min=10))
    assert [f.code for f in verdict.findings] == [rate.BURST]


def test_the_numbers_used_stand_in_the_finding() -> None:
    counts = Counts(
        tenant_recipients_10min=320, tenant_baseline_recipients_day=48.0,
        client_recipients_hour=640, client_baseline_recipients_day=80.0,
    )  # fmt: skip
    found = {finding.code: (dict(finding.why), finding.signal) for finding in rate.judge(counts, LIMITS).findings}
    assert found == {
        rate.TENANT: (
            {
                "tenant_recipients_10min": "320",
                "floor": "300",
                "above": "10.0",
                "tenant_baseline_recipients_day": "48.0",
            },
            "behaviour",
        ),
        rate.CLIENT: (
            {
                "client_recipients_hour": "640",
                "floor": "500",
                "above": "50.0",
                "client_baseline_recipients_day": "80.0",
            },
            "behaviour",
        ),
    }


def to(*addresses: str) -> Envelope:
    return Envelope(
        reverse_path=path("alice@example.com"), forward_paths=tuple(ForwardPath(path=path(a)) for a in addresses)
    )


@pytest.mark.parametrize(
    ("outside", "inside", "expected"),
    [
        (49, 0, []),
        (50, 0, [rate.BULK]),
        # An announcement to all colleagues is not bulk, and does not add to what is.
        (0, 500, []),
        (49, 500, []),
        (50, 500, [rate.BULK]),
    ],
)
async def test_one_message_to_many_outside_is_bulk(outside: int, inside: int, expected: list[str]) -> None:
    others = [f"r{n}@example.org" for n in range(outside)]
    colleagues = [f"c{n}@example.com" for n in range(inside)]
    envelope = to(*others, *colleagues)
    mail = context(counts=Counts(), own_domains=("example.com",), transaction=transaction(envelope=envelope))
    verdict = await rate.make(LIMITS, timeout_s=5).run(mail)
    assert [f.code for f in verdict.findings] == expected
    assert [(f.signal, f.why) for f in verdict.findings] == [
        ("behaviour", (("recipients_message", str(outside)), ("floor", "50"))) for _ in expected
    ]


async def test_the_same_address_many_times_is_one_recipient() -> None:
    mail = context(counts=Counts(), transaction=transaction(envelope=to(*["r@example.org"] * 80)))
    assert (await rate.make(LIMITS, timeout_s=5).run(mail)).findings == ()


async def test_the_floor_of_bulk_is_the_operator_s() -> None:
    mail = context(counts=Counts(), transaction=transaction(envelope=to("a@example.org", "b@example.org")))
    check = rate.make(LIMITS, timeout_s=5, bulk_recipients_message=2)
    assert [f.code for f in (await check.run(mail)).findings] == [rate.BULK]


BUSY = Counts(recipients_10min=500)


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"counts": BUSY}, Outcome.FOUND, None),
        ({"counts": BUSY, "direction": Direction.INTERNAL}, Outcome.FOUND, None),
        ({"counts": Counts()}, Outcome.CLEAN, None),
        ({"counts": None}, Outcome.SKIPPED, "unattributed"),
        ({"counts": BUSY, "principal": NOBODY}, Outcome.SKIPPED, "unattributed"),
        ({"counts": BUSY, "direction": Direction.INBOUND}, Outcome.SKIPPED, "inbound"),
    ],
)
async def test_only_accounts_of_ours_are_judged(changes: dict[str, Any], outcome: Outcome, reason: str | None) -> None:
    actual = await rate.make(LIMITS, timeout_s=5).run(context(**changes))
    assert (actual.outcome, actual.reason) == (outcome, reason)
