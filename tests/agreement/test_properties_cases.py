"""Cases of the rules that concern the ladder alone.  STANDING 5.3, 5.4, 5.7-1, 5.7-2, 5.9, 7.2."""

from __future__ import annotations

from datetime import timedelta

import pytest

from filterd.agreement.fold import fold
from filterd.agreement.offence import Offence, commit_offence
from filterd.agreement.standing import SENDING, standing_at
from filterd.model import records as r
from filterd.model.sanction import Conduct, Mode, Preset, Rung
from tests.agreement.test_properties import one_of_each, violation
from tests.agreement.test_walks import TERMS, Account, day

MINUTE = 1 / 1440


def by_a_person(at_day: float, hours: int) -> r.SanctionImposed:
    """A suspension that a person imposed."""
    return r.SanctionImposed(
        at=day(at_day), sanction_id="s_person", incident_id="i_person", decision_id="d_person", account_id="a_1",
        rung=Rung.SUSPEND, step=3, features=SENDING, category="", clauses=("4.3.1",), starts_at=day(at_day),
        ends_at=day(at_day) + timedelta(hours=hours), lapses_at=None, step_down_features=(), is_automatic=False,
        by="Ana", warranted=Rung.SUSPEND,
    )  # fmt: skip


def imposed(account: Account) -> list[r.SanctionImposed]:
    return [x for x in account.records if isinstance(x, r.SanctionImposed) and x.is_automatic]


def test_case_5_7_01_a_lower_one_lands_while_a_higher_one_is_active() -> None:
    account = Account()
    account.breach(0, "malware")
    account.records.append(by_a_person(1, 30))
    account.breach(1.1, "malware")
    # Recorded and running, and nothing to see of it: the clocks run together.
    assert [(x.rung, x.ends_at) for x in imposed(account)][-1] == (Rung.RESTRICT, day(8.1))
    assert (account.at(1.2).conduct, account.at(1.2).until) == (Conduct.SUSPENDED, day(2.25))
    assert (account.at(2.25).conduct, account.at(2.25).until) == (Conduct.RESTRICTED, day(8.1))
    assert account.at(8.1).conduct is Conduct.WARNED


def test_case_5_7_02_a_higher_one_lands_while_a_lower_one_is_active() -> None:
    account = Account()
    for number in (0, 1, 3):
        account.breach(number, "malware")
    assert account.at(2.9).conduct is Conduct.RESTRICTED
    # Raised at once; the restriction keeps its own clock, and shows when the suspension is lifted.
    assert (account.at(3).conduct, account.at(3).until) == (Conduct.SUSPENDED, day(10))
    suspension = imposed(account)[-1]
    account.records.append(
        r.SanctionLifted(
            at=day(4), sanction_id=suspension.sanction_id, incident_id=suspension.incident_id, by="Ana", reason="x"
        )
    )
    assert (account.at(4).conduct, account.at(4).until) == (Conduct.RESTRICTED, day(8))


@pytest.mark.parametrize(
    ("recipients", "hours", "above"), [(1, 24, 5), (100, 4, 6), (1000, 1, 8)], ids=["S1", "S2", "S3"]
)
def test_case_grace_s1_s2_s3(recipients: int, hours: int, above: int) -> None:
    """So long after a notice an act gives its points, and no rung above what the notice told of."""
    conduct = Conduct.SUSPENDED if above == 8 else Conduct.RESTRICTED
    told_at = 30 * MINUTE
    for minutes, expected in ((0, Conduct.WARNED), (1, conduct)):
        account = Account()
        account.breach(0, "spam.outbound", recipients=recipients)
        account.breach(told_at + hours / 24 + minutes * MINUTE, "malware")
        now = account.at(told_at + hours / 24 + 2 * MINUTE)
        assert (now.conduct, now.half_points) == (expected, 2 * above)
        assert ("held back: grace" in account.tasks()) is (minutes == 0)


def test_case_b_half_then_whole() -> None:
    account = Account()
    account.breach(0, "illegal.gambling", Mode.B)
    assert account.at(1).half_points == 2
    # A second one of the family after its notice: both count whole, 2 + 3.
    account.breach(2, "illegal.gambling", Mode.B)
    assert (account.at(2).half_points, account.at(2).conduct) == (10, Conduct.WARNED)
    assert "held back: mode B" in account.tasks()


@pytest.mark.parametrize(
    ("preset", "ends"), [(Preset.ATTENDED, None), (Preset.SUPERVISED, 5), (Preset.STANDING_ORDER, 11)]
)
def test_case_b_restrict_third_after_notice(preset: Preset, ends: int | None) -> None:
    """The third of a chain, each after the notice of the one before, switches the one feature used off."""
    account = Account(preset)
    for number in (0, 2):
        account.breach(number, "illegal.gambling", Mode.B)
        assert account.at(number + 0.1).conduct is Conduct.WARNED
    account.breach(4, "illegal.gambling", Mode.B)
    now = account.at(4.1)
    if ends is None:
        assert now.conduct is Conduct.WARNED
    else:
        assert (now.conduct, now.until) == (Conduct.RESTRICTED, day(ends))
        assert len(now.features) == 1


def test_case_mixed_ab_task_for_rest() -> None:
    """A run in both modes: the rung its mode-A points reach, and a task for the rest that the whole warrants."""
    account = Account()
    account.breach(0, "illegal.gambling", Mode.B)
    history = fold("a_1", account.records)
    offence = Offence(
        at=day(2), tenant_id="n_1", transaction_id="t_2", decision_id="d_2", evidence_key="e_2", text_fp="x_2",
        violations=(violation("illegal.gambling", Mode.B), violation("spam.outbound", Mode.A)),
        delivery_keys=one_of_each("a"), policy_digest="",
    )  # fmt: skip
    done = commit_offence(history, offence, TERMS, Preset.SUPERVISED)
    now = standing_at(done.history, TERMS, day(2))
    assert (now.half_points, now.conduct) == (2 * (2 + 3), Conduct.WARNED)
    (task,) = [x for x in done.records if isinstance(x, r.TaskOpened)]
    assert (task.warranted, task.imposed) == ("restrict 168 h", "warn")


def test_case_probation_new_incident_only() -> None:
    """Thirty days after a suspension eight is as twelve, for what began then and not for what began before."""

    def run(last: float) -> Account:
        account = Account()
        for number, at in enumerate((0, 2, 4, last)):
            account.breach(at, "spam.outbound", recipients=100, burst=number == 0)
        return account

    for last, is_proposed in ((10.9, False), (11, True), (40.9, True), (41, False)):
        account = run(last)
        assert account.at(last).half_points == 2 * 11
        assert any("termination proposed" in x for x in account.tasks()) is is_proposed, last
