"""The acceptance walks of the rules, in the product's own ladder.  STANDING 7.3."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from filterd.agreement.annul import annul
from filterd.agreement.fold import fold
from filterd.agreement.offence import Offence, commit_offence
from filterd.agreement.standing import standing_at
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Conduct, Ground, Mode, Preset, Rung, Violation
from filterd.model.standing import Standing
from tests.agreement.contract import shipped

START = datetime(2026, 3, 2, tzinfo=UTC)
TERMS = shipped()


class Account:
    """One account under one preset, driven by days."""

    def __init__(self, preset: Preset = Preset.SUPERVISED):
        self.preset = preset
        self.records: list[r.Record] = []
        self.incidents: list[str] = []

    def breach(
        self, day: float, category: str, mode: Mode = Mode.A, *, recipients: int = 1, burst: bool = False
    ) -> None:
        """One message, and its notice half an hour later."""
        at = START + timedelta(days=day)
        number = len(self.incidents)
        found = TERMS.category_of(category)
        violation = Violation(
            category=category,
            family=found.family,
            mode=mode,
            severity=found.fixed_severity,
            ground=Ground(kind="clause", ids=found.ground),
            finding_codes=(),
            is_burst=burst,
        )
        offence = Offence(
            at=at,
            tenant_id="n_1",
            transaction_id=f"t_{number}",
            decision_id=f"d_{number}",
            evidence_key=f"e_{number}",
            text_fp=f"x_{number}",
            violations=(violation,),
            delivery_keys=tuple(f"{number}.{n}" for n in range(recipients)),
            policy_digest=TERMS.digest,
        )
        outcome = commit_offence(fold("a_1", self.records), offence, TERMS, self.preset)
        self.records += outcome.records
        self.incidents.append(outcome.incident_id)
        self.records.append(
            r.NoticeSent(
                at=at + timedelta(minutes=30),
                notice_id=f"m_{number}",
                account_id="a_1",
                incident_ids=(outcome.incident_id,),
                template="warning",
                languages=("en",),
                channel="mail",
                outcome="accepted",
                deemed_at=at + timedelta(minutes=30),
                body_digest="",
            )
        )

    def at(self, day: float) -> Standing:
        return standing_at(fold("a_1", self.records), TERMS, START + timedelta(days=day))

    def annul(self, number: int, day: float) -> None:
        at = START + timedelta(days=day)
        undone = annul(
            "a_1", self.records, TERMS, self.preset, incident_id=self.incidents[number], at=at, by="p", reason="error"
        )
        self.records += undone.records

    def object_to(self, rung: Rung, day: float) -> None:
        history = fold("a_1", self.records)
        imposed = next(s.imposed for s in history.sanctions if s.imposed.rung is rung)
        self.records.append(
            r.ObjectionFiled(
                at=START + timedelta(days=day),
                appeal_id=derived_id("p", imposed.sanction_id),
                sanction_id=imposed.sanction_id,
                incident_id=imposed.incident_id,
                account_id="a_1",
                channel="cli",
            )
        )

    def tasks(self) -> list[str]:
        return [x.what for x in self.records if isinstance(x, r.TaskOpened)]


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def test_walk_1_supervised() -> None:
    account = Account()
    account.breach(0, "malware")
    assert (account.at(0.1).conduct, account.at(0.1).half_points) == (Conduct.WARNED, 8)
    assert account.at(0.1).final_half_points == 0
    account.breach(1, "malware")
    assert (account.at(1.1).conduct, account.at(1.1).until) == (Conduct.RESTRICTED, day(8))
    assert account.at(3.1).half_points == 14
    account.breach(8, "malware")
    assert (account.at(8.1).conduct, account.at(8.1).half_points, account.at(8.1).until) == (
        Conduct.SUSPENDED,
        24,
        day(15),
    )
    assert "held back: preset; termination proposed" in account.tasks()
    account.breach(15, "malware")
    assert (account.at(15.1).conduct, account.at(15.1).until) == (Conduct.SUSPENDED, day(22))


def test_walk_2_attended_lapses_after_three_days() -> None:
    account = Account(Preset.ATTENDED)
    account.breach(0, "malware")
    account.breach(1, "malware")
    assert (account.at(1.1).conduct, account.at(1.1).until) == (Conduct.RESTRICTED, day(4))
    account.breach(4, "malware")
    assert (account.at(4.1).conduct, account.at(4.1).until) == (Conduct.SUSPENDED, day(7))
    assert account.at(7.1).conduct is Conduct.WARNED


def test_walk_3_standing_order_is_open_ended() -> None:
    account = Account(Preset.STANDING_ORDER)
    for number in (0, 1, 8):
        account.breach(number, "malware")
    assert (account.at(9).conduct, account.at(9).until) == (Conduct.SUSPENDED, None)
    assert account.at(300).conduct is Conduct.SUSPENDED


def test_walk_4_an_annulment_lowers_what_came_later() -> None:
    account = Account()
    account.breach(-5, "spam.outbound", recipients=300)
    account.breach(0, "spam.outbound", recipients=300)
    assert (account.at(0.1).half_points, account.at(0.1).until) == (10, day(7))
    account.breach(2, "spam.outbound")
    assert (account.at(2.1).half_points, account.at(2.1).until) == (14, day(9))
    account.breach(10, "spam.outbound")
    assert (account.at(10.1).conduct, account.at(10.1).until) == (Conduct.SUSPENDED, day(17))
    account.annul(2, 11)
    assert (account.at(11.1).conduct, account.at(11.1).half_points) == (Conduct.RESTRICTED, 14)
    assert account.at(11.1).until == day(17)
    account.breach(12, "spam.outbound", Mode.B)
    assert account.at(12.1).conduct is Conduct.RESTRICTED


def test_three_bursts_warn_restrict_and_suspend() -> None:
    account = Account()
    account.breach(0, "spam.outbound", recipients=300, burst=True)
    first = account.at(0.1)
    assert first.conduct is Conduct.WARNED
    assert [str(f) for f in first.features] == ["bulk", "messages_per_hour:20"]
    assert account.at(1.01).features == ()
    account.breach(2, "spam.outbound", recipients=300, burst=True)
    assert (account.at(2.1).conduct, account.at(2.1).until) == (Conduct.RESTRICTED, day(3))
    account.breach(4, "spam.outbound", recipients=300, burst=True)
    assert (account.at(4.1).conduct, account.at(4.1).until) == (Conduct.SUSPENDED, day(11))


def test_an_unanswered_objection_steps_a_suspension_down() -> None:
    account = Account()
    for number in (0, 2, 4):
        account.breach(number, "spam.outbound", recipients=300, burst=True)
    account.object_to(Rung.SUSPEND, 4.5)
    assert account.at(5.4).conduct is Conduct.SUSPENDED
    stepped = account.at(5.6)
    assert (stepped.conduct, stepped.until) == (Conduct.RESTRICTED, day(11))
    assert {f.name for f in stepped.features} == {"bulk", "messages_per_hour"}


def test_acts_recorded_out_of_order_are_one_incident() -> None:
    in_order, late = Account(), Account()
    for account, moments in ((in_order, (0.0, 0.0001)), (late, (0.0001, 0.0))):
        account.breach(moments[0], "spam.outbound", Mode.B)
        account.breach(moments[1], "spam.outbound", recipients=300, burst=True)
    assert len(set(late.incidents)) == len(set(in_order.incidents)) == 1
    now = [(a.at(0.5).conduct, a.at(0.5).half_points, len(a.at(0.5).holds)) for a in (in_order, late)]
    assert now[0] == now[1] == (Conduct.WARNED, 4, 1)


def test_a_strike_fades_whole_at_its_day() -> None:
    account = Account()
    account.breach(0, "spam.outbound")
    assert account.at(89.9).conduct is Conduct.WARNED
    assert account.at(90.1).conduct is Conduct.GOOD


@pytest.mark.parametrize("preset", list(Preset))
def test_a_first_incident_never_gets_more_than_a_warning(preset: Preset) -> None:
    account = Account(preset)
    account.breach(0, "spam.outbound", recipients=5000, burst=True)
    assert account.at(0.1).conduct is Conduct.WARNED
