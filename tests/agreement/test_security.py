"""The security axis: holds, trickle, watch; indicators and attestation.  STANDING 5.3 step 2, 5.6, 5.7-14, 5.11."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from filterd.agreement.annul import annul, excuse
from filterd.agreement.decide import decide
from filterd.agreement.fold import apply, fold
from filterd.agreement.load import load
from filterd.agreement.offence import Offence, commit_hypothesis, commit_indicator, commit_offence
from filterd.agreement.sections_security import SecuritySection
from filterd.agreement.security import due, security_at
from filterd.agreement.standing import standing_at
from filterd.agreement.takeover import attestable, attestation_number, excusable, hypothesis_of
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.errors import ConfigError
from filterd.model import records as r
from filterd.model.decision import Case, Counts, Disposition, MailFacts
from filterd.model.ids import derived_id
from filterd.model.principal import Basis, Principal, Strength
from filterd.model.sanction import Ground, Mode, Preset, Rung, Violation
from filterd.model.security import Protection
from filterd.model.session import Direction
from filterd.model.standing import ALONE, History, Standing, Surroundings
from filterd.model.verdict import Assessment, Finding, Outcome, Verdict
from filterd.share import path
from tests.agreement.contract import CODES, shipped

pytestmark = pytest.mark.slow

START = datetime(2026, 3, 2, 2, 10, tzinfo=UTC)
NEW, MANY, UNLIKE = "rate.client.new", "rate.clients.many", "rate.strangers.unlike"
TERMS: Agreement = shipped()
FAMILIES = {"spam.outbound": "spam", "malware": "malware", "phishing.known": "malware", "illegal.gambling": "illegal"}


def when(hours: float) -> datetime:
    return START + timedelta(hours=hours)


class Account:
    """One account's record, act by act."""

    def __init__(self, preset: Preset = Preset.SUPERVISED):
        self.preset = preset
        self.records: list[r.Record] = []
        self.count = 0

    @property
    def history(self) -> History:
        return fold("a_1", self.records)

    def at(self, hours: float) -> Standing:
        return standing_at(self.history, TERMS, when(hours))

    def mail(
        self,
        hours: float,
        category: str = "malware",
        *indicators: str,
        mode: Mode = Mode.A,
        recipients: int = 1,
        is_burst: bool = False,
        hypothesis: str = "unknown",
        is_strong: bool = True,
    ) -> str:
        """Send one mail in breach; say its incident."""
        self.count += 1
        name = str(self.count)
        found = TERMS.category_of(category)
        violation = Violation(
            category=category,
            family=FAMILIES[category],
            mode=mode,
            severity=found.fixed_severity,
            ground=Ground(kind="clause", ids=found.ground),
            finding_codes=(),
            is_burst=is_burst,
        )
        outcome = commit_offence(
            self.history,
            Offence(
                at=when(hours),
                tenant_id="n_1",
                transaction_id=f"t_{name}",
                decision_id=f"d_{name}",
                evidence_key=f"e_{name}",
                text_fp=f"x_{name}",
                violations=(violation,),
                delivery_keys=tuple(f"{name}.{n}" for n in range(recipients)),
                policy_digest="",
                is_strong=is_strong,
                indicators=indicators,
                hypothesis=hypothesis,
            ),
            TERMS,
            self.preset,
        )
        self.records += outcome.records
        return outcome.incident_id

    def noticed(self, hours: float, incident_id: str) -> None:
        self.records.append(
            r.NoticeSent(
                at=when(hours),
                notice_id=derived_id("m", incident_id, str(hours)),
                account_id="a_1",
                incident_ids=(incident_id,),
                template="warning",
                languages=("en",),
                channel="mail",
                outcome="accepted",
                deemed_at=when(hours),
                body_digest="",
            )
        )

    def hold(self) -> r.HoldPlaced:
        """Say the newest hold."""
        return self.history.holds[-1][0]

    def attest(self, hours: float) -> tuple[str, ...]:
        """Attest every hold of a stolen account and excuse what it excuses; say the incidents."""
        at, history = when(hours), self.history
        holds = attestable(history, at)
        ids = tuple(i.opened.incident_id for i in excusable(history, holds, TERMS))
        for hold in holds:
            self.records.append(
                r.HoldAttested(
                    at=at,
                    attestation_id=derived_id("at", hold.hold_id),
                    hold_id=hold.hold_id,
                    account_id="a_1",
                    incident_ids=ids,
                    by="ada",
                    number=attestation_number(history, TERMS, at),
                    is_verified=True,
                    watch_until=at + timedelta(hours=TERMS.security.watch_hours),
                    watch_features=TERMS.security.watch,
                )
            )
        self.records += excuse(
            "a_1", self.records, TERMS, self.preset, incident_ids=ids, at=at, by="ada", attestation_id="at_1"
        ).records
        return ids

    def object(self, hours: float, hold_id: str) -> None:
        self.records.append(
            r.ObjectionFiled(
                at=when(hours),
                appeal_id="p_1",
                sanction_id=hold_id,
                incident_id="",
                account_id="a_1",
                channel="mail",
            )
        )


def features(standing: Standing) -> set[str]:
    return {str(f) for f in standing.features}


# --- which hold follows -----------------------------------------------------------------------------------------------


def test_case_first_malware_single_refused_no_hold() -> None:
    account = Account()
    account.mail(0)
    assert account.history.holds == ()
    assert (account.at(1).conduct, account.at(1).half_points, account.at(1).security.kind) == (
        "warned",
        8,
        Protection.CLEAR,
    )


def test_a_second_message_locks_the_category_s_scope_for_a_day_and_nothing_trickles() -> None:
    account = Account()
    account.mail(0)
    account.mail(1)
    state = account.at(2).security
    assert (state.kind, state.reason, [str(f) for f in state.scope]) == ("hold", "zero_tolerance", ["attachments"])
    assert state.until == when(25)
    assert account.at(24.9).security.kind == "hold"
    assert account.at(25).security.kind == "clear"
    assert not any(account.at(h).security.is_trickle for h in (2, 24, 80))


@pytest.mark.parametrize("category", ["malware", "spam.outbound"])
def test_one_indicator_locks_sending_until_somebody_attests(category: str) -> None:
    account = Account()
    account.mail(0, category, NEW)
    state = account.at(0).security
    assert (state.kind, state.reason, state.until) == ("hold", "compromise", None)
    assert not account.at(0).may_send
    assert account.hold().indicators == (NEW,)
    # Its points wait, whatever the category, and it warns only.
    assert (account.at(0).rung, account.at(0).final_half_points) == (Rung.WARN, 0)


def test_case_5_7_14_an_indicator_makes_any_incident_provisional_not_only_the_first() -> None:
    account = Account()
    account.noticed(1, account.mail(0, "spam.outbound", recipients=1200))
    account.mail(30, "spam.outbound", NEW, recipients=1200)
    strikes = {s.incident_id: s.is_provisional for s in account.at(31).strikes}
    assert list(strikes.values()) == [False, True]
    assert "sending" in features(account.at(31))


def test_a_new_country_never_speaks_alone() -> None:
    account = Account()
    account.mail(0, "malware", UNLIKE)
    assert account.history.holds == ()
    account.mail(1, "malware", UNLIKE, "client.country")
    assert account.hold().because == "compromise"


def test_mail_that_nobody_logged_in_for_has_no_indicator() -> None:
    account = Account()
    account.mail(0, "malware", NEW, is_strong=False)
    assert account.history.holds == ()


def test_a_lock_and_the_category_s_scope_stand_side_by_side() -> None:
    account = Account()
    account.mail(0)
    account.mail(1)
    account.mail(2, "malware", NEW)
    assert [h.because for h, _ in account.history.holds] == ["zero_tolerance", "compromise"]
    account.mail(3, "malware", MANY)
    assert len(account.history.holds) == 2


# --- malicious --------------------------------------------------------------------------------------------------------


def test_malicious_has_neither_cap_nor_provision_nor_hold() -> None:
    account = Account()
    account.mail(0, "spam.outbound", NEW, recipients=1200, hypothesis="malicious")
    now = account.at(1)
    assert (account.history.holds, now.final_half_points, now.rung) == ((), 8, Rung.RESTRICT)


def test_settled_malicious_is_final_at_once_and_climbs_the_ladder_by_a_person_s_act() -> None:
    account = Account()
    incident_id = account.mail(0, "spam.outbound", NEW, recipients=1200)
    assert (account.at(1).rung, account.at(1).final_half_points) == (Rung.WARN, 0)
    settled = r.HypothesisSettled(
        at=when(2), account_id="a_1", incident_id=incident_id, hypothesis="malicious", by="mo", reason="test"
    )
    account.records += commit_hypothesis(account.history, settled, TERMS, account.preset).records
    assert (account.at(2).rung, account.at(2).final_half_points) == (Rung.RESTRICT, 8)
    # The replay after another incident is annulled comes to the same.
    other = account.mail(30, "illegal.gambling", mode=Mode.B)
    undone = annul(
        "a_1", account.records, TERMS, account.preset, incident_id=other, at=when(31), by="p", reason="test"
    )
    assert undone.changed_sanctions == ()


def test_settled_compromised_has_points_wait_again() -> None:
    account = Account()
    incident_id = account.mail(0, "spam.outbound", recipients=1200)
    settled = r.HypothesisSettled(
        at=when(2), account_id="a_1", incident_id=incident_id, hypothesis="compromised", by="mo", reason="test"
    )
    account.records += commit_hypothesis(account.history, settled, TERMS, account.preset).records
    assert (account.at(2).final_half_points, account.at(80).half_points) == (0, 4)


def test_the_word_of_a_person_outweighs_the_mails_that_follow() -> None:
    account = Account()
    incident_id = account.mail(0, "spam.outbound")
    settled = r.HypothesisSettled(
        at=when(1), account_id="a_1", incident_id=incident_id, hypothesis="unknown", by="mo", reason="test"
    )
    account.records += commit_hypothesis(account.history, settled, TERMS, account.preset).records
    account.mail(2, "spam.outbound", hypothesis="malicious")
    (incident,) = account.history.incidents
    assert incident.hypothesis == "unknown"


def young(days: int) -> Surroundings:
    return replace(ALONE, tenant_opened_at=START - timedelta(days=days))


@pytest.mark.parametrize(
    ("around", "is_original", "expected"),
    [
        (young(5), True, "malicious"),
        (young(29), True, "malicious"),
        (young(30), True, "unknown"),
        (young(5), False, "unknown"),
        # Nobody can say how old it is: it may be an old customer.
        (ALONE, True, "unknown"),
    ],
)
def test_the_same_origin_from_day_one_in_a_young_tenant_is_malicious(
    around: Surroundings, is_original: bool, expected: str
) -> None:
    item = case(0, client_is_original=is_original)
    assert hypothesis_of(item, History(account_id="a_1"), TERMS, around) == expected


def test_a_registration_match_is_malicious() -> None:
    hold = r.HoldPlaced(
        at=START,
        hold_id="h_1",
        incident_id="",
        account_id="a_1",
        features=(),
        starts_at=START,
        ends_at=None,
        because="registration",
    )
    history = apply(History(account_id="a_1"), hold)
    assert hypothesis_of(case(1), history, TERMS, ALONE) == "malicious"


# --- unattested -------------------------------------------------------------------------------------------------------


def test_case_unattested_final_two() -> None:
    account = Account()
    account.mail(0, "phishing.known", NEW)
    before, after = account.at(71.9), account.at(72)
    assert (before.half_points, before.final_half_points, before.may_send) == (8, 0, False)
    assert (after.half_points, after.final_half_points) == (4, 4)
    # The hold goes on: twenty messages a day, to people who wrote first. Nothing else is imposed.
    assert (after.security.kind, after.security.is_trickle, after.security.until) == ("hold", True, None)
    assert features(after) == {"messages_per_day:20", "strangers"}
    assert (after.may_send, after.rung) == (True, Rung.WARN)
    assert account.at(24 * 60).security.is_trickle


def test_an_unanswered_objection_brings_the_trickle_forward_and_opens_nothing() -> None:
    account = Account()
    account.mail(0, "phishing.known", NEW)
    account.object(2, account.hold().hold_id)
    assert not account.at(25.9).may_send
    assert (account.at(26).security.kind, account.at(26).security.is_trickle) == ("hold", True)
    # The points still wait for the whole term.
    assert account.at(26).final_half_points == 0


def test_an_answer_in_time_keeps_the_hold_as_it_is() -> None:
    account = Account()
    account.mail(0, "phishing.known", NEW)
    hold_id = account.hold().hold_id
    account.object(2, hold_id)
    account.records.append(r.ObjectionAnswered(at=when(10), appeal_id="p_1", sanction_id=hold_id, by="mo"))
    assert not account.at(40).may_send
    assert account.at(72).security.is_trickle


def test_an_open_hold_is_told_of_weekly_and_an_unanswered_objection_once() -> None:
    account = Account()
    account.mail(0, "phishing.known", NEW)
    hold = account.hold()
    assert due(account.history, TERMS, when(167), {}) == ()
    assert [d.what for d in due(account.history, TERMS, when(168), {})] == ["remind"]
    (first,) = due(account.history, TERMS, when(170), {})
    assert (first.what, first.at) == ("remind", when(168))
    assert due(account.history, TERMS, when(170), {hold.hold_id: when(168)}) == ()
    account.object(171, hold.hold_id)
    whats = [d.what for d in due(account.history, TERMS, when(196), {hold.hold_id: when(168)})]
    assert whats == ["objection"]
    account.attest(197)
    assert due(account.history, TERMS, when(800), {}) == ()


# --- attestation and watch --------------------------------------------------------------------------------------------


def test_case_attestation_1_2_3() -> None:
    """The first excuses; the count runs for ninety days; the incident is kept."""
    account = Account()
    numbers = []
    for hours in (0, 24 * 20, 24 * 40, 24 * 140):
        incident_id = account.mail(hours, "phishing.known", NEW)
        numbers.append(attestation_number(account.history, TERMS, when(hours + 7)))
        assert account.attest(hours + 7) == (incident_id,)
        now = account.at(hours + 7)
        assert (now.conduct, now.half_points, now.sanctions) == ("good", 0, ())
    assert numbers == [1, 2, 3, 1]
    assert len(account.history.incidents) == 4
    assert all(i.excused_at is not None and i.strike is not None for i in account.history.incidents)


def test_after_the_attestation_low_caps_watch_for_three_days() -> None:
    account = Account()
    account.mail(0, "phishing.known", NEW)
    account.attest(7)
    now = account.at(8)
    assert (now.security.kind, now.security.until, now.may_send) == ("watch", when(79), True)
    assert features(now) == {"external_recipients_per_day:50", "recipients_per_message:10"}
    assert account.at(78.9).security.kind == "watch"
    assert (account.at(79).security.kind, features(account.at(79))) == ("clear", set())


def test_a_watch_can_be_ended_by_releasing_the_hold_once_more() -> None:
    account = Account()
    account.mail(0, "phishing.known", NEW)
    hold_id = account.hold().hold_id
    account.attest(7)
    account.records.append(r.HoldReleased(at=when(20), hold_id=hold_id, by="mo", reason="test"))
    assert (account.at(19).security.kind, account.at(20).security.kind) == ("watch", "clear")


def test_a_release_by_a_moderator_keeps_the_strike() -> None:
    account = Account()
    account.mail(0, "phishing.known", NEW)
    caps = TERMS.security
    account.records.append(
        r.HoldReleased(
            at=when(5),
            hold_id=account.hold().hold_id,
            by="mo",
            reason="test",
            watch_until=when(5 + caps.watch_unverified_hours),
            watch_features=caps.watch,
        )
    )
    assert (account.at(6).half_points, account.at(6).security.kind) == (8, "watch")


def test_what_comes_after_the_attestation_is_an_act_of_its_own() -> None:
    account = Account()
    first = account.mail(0, "phishing.known", NEW)
    account.attest(7)
    late = account.mail(6, "phishing.known")
    again = account.mail(8, "phishing.known")
    assert (late, again == first) == (first, False)
    assert account.at(9).half_points == 8


def test_an_excused_incident_counts_for_nobody_s_ladder() -> None:
    """As annulling does: later automatic sanctions become min(old, replayed), and nothing is raised."""
    account = Account()
    first = account.mail(0, "phishing.known", NEW)
    account.noticed(1, first)
    second = account.mail(5, "phishing.known", recipients=3)
    assert first != second
    raised = account.at(6)
    assert (raised.rung, raised.half_points) == (Rung.RESTRICT, 8 + 10)
    account.records += excuse(
        "a_1",
        account.records,
        TERMS,
        account.preset,
        incident_ids=(first,),
        at=when(7),
        by="ada",
        attestation_id="at_1",
    ).records
    after = account.at(7)
    # Without it the second is the first, and nobody had been told: a warning, and points that wait.
    assert (after.rung, after.half_points, after.final_half_points) == (Rung.WARN, 8, 0)
    assert [s.incident_id for s in after.strikes] == [second]


def test_excusing_twice_adds_nothing() -> None:
    account = Account()
    account.mail(0, "phishing.known", NEW)
    (incident_id,) = account.attest(7)
    again = excuse(
        "a_1",
        account.records,
        TERMS,
        account.preset,
        incident_ids=(incident_id,),
        at=when(8),
        by="ada",
        attestation_id="at_2",
    )
    assert again.records == ()


def test_a_person_s_own_restriction_stays_when_the_strike_is_excused() -> None:
    account = Account()
    incident_id = account.mail(0, "phishing.known", NEW)
    warned = account.history.sanctions[0].imposed
    account.records.append(
        replace(
            warned,
            sanction_id="s_person",
            decision_id="d_person",
            rung=Rung.RESTRICT,
            features=TERMS.category_of("phishing.known").features,
            is_automatic=False,
            by="mo",
            starts_at=when(1),
            ends_at=when(100),
        )
    )
    account.attest(7)
    assert [s.sanction_id for s in account.at(8).sanctions] == ["s_person"]
    assert incident_id == warned.incident_id


def test_a_malicious_incident_is_never_excused() -> None:
    account = Account()
    account.mail(0, "phishing.known", NEW)
    incident_id = account.history.incidents[0].opened.incident_id
    settled = r.HypothesisSettled(
        at=when(1), account_id="a_1", incident_id=incident_id, hypothesis="malicious", by="mo", reason="test"
    )
    account.records += commit_hypothesis(account.history, settled, TERMS, account.preset).records
    assert excusable(account.history, attestable(account.history, when(2)), TERMS) == ()


@pytest.mark.parametrize("seed", range(25))
def test_prop_replay_never_raises_anybody_when_strikes_are_excused(seed: int) -> None:
    chance = random.Random(seed)
    account, hours = Account(chance.choice(list(Preset))), 0.0
    for _ in range(chance.randint(2, 7)):
        hours += chance.choice([0.5, 3, 26, 80, 200])
        indicators = chance.sample([NEW, MANY, UNLIKE], chance.randint(0, 2))
        mode = chance.choice([Mode.A, Mode.B])
        category = chance.choice(["spam.outbound", "illegal.gambling"] if mode is Mode.B else list(FAMILIES)[:3])
        recipients = chance.choice([1, 150, 1500])
        account.noticed(hours + 0.2, account.mail(hours, category, *indicators, mode=mode, recipients=recipients))
    hours += 1
    before = [account.at(hours + later) for later in (0, 24, 100, 400)]
    excused = account.attest(hours)
    after = [account.at(hours + later) for later in (0, 24, 100, 400)]
    for old, new in zip(before, after, strict=True):
        assert new.rung <= old.rung
        assert new.half_points <= old.half_points
    assert not {s.incident_id for s in after[0].strikes} & set(excused)


# --- reported ---------------------------------------------------------------------------------------------------------


def seen(hours: float, code: str, incident_id: str | None = None) -> r.IndicatorSeen:
    return r.IndicatorSeen(at=when(hours), account_id="a_1", indicator=code, by="watcher", incident_id=incident_id)


@pytest.mark.parametrize(("hours", "is_locked"), [(1, True), (24, True), (24.1, False)])
def test_a_report_speaks_for_the_mail_of_a_day(hours: float, is_locked: bool) -> None:
    account = Account()
    account.records.append(seen(0, "auth.failures"))
    account.mail(hours, "phishing.known")
    assert bool(account.history.holds) is is_locked


def test_an_attestation_answers_what_was_reported_before() -> None:
    account = Account()
    account.records.append(seen(0, "auth.failures"))
    account.mail(1, "phishing.known")
    account.attest(2)
    account.mail(3, "phishing.known")
    assert [end is None for _, end in account.history.holds] == [False]


def test_an_indicator_reported_later_makes_its_incident_provisional_and_locks() -> None:
    account = Account()
    incident_id = account.mail(0, "spam.outbound", recipients=1200)
    assert account.at(1).final_half_points == 8
    account.records += commit_indicator(account.history, seen(2, "auth.failures", incident_id), TERMS).records
    assert (account.at(2).final_half_points, account.at(2).may_send) == (0, False)
    replayed = annul(
        "a_1",
        [*account.records],
        TERMS,
        account.preset,
        incident_id="i_none",
        at=when(3),
        by="p",
        reason="test",
    )
    assert replayed.records == ()


def test_the_replay_knows_what_was_reported() -> None:
    """Points in doubt stay in doubt when another incident is annulled."""
    account = Account()
    other = account.mail(0, "illegal.gambling", mode=Mode.B)
    incident_id = account.mail(1, "spam.outbound", recipients=1200)
    account.records += commit_indicator(account.history, seen(2, "auth.failures", incident_id), TERMS).records
    before = account.at(3)
    account.records += annul(
        "a_1", account.records, TERMS, account.preset, incident_id=other, at=when(3), by="p", reason="test"
    ).records
    after = account.at(3)
    assert (before.final_half_points, after.final_half_points) == (before.half_points - 8, 0)
    assert after.half_points == 8


# --- a burst without a breach -----------------------------------------------------------------------------------------


def case(hours: float, *codes: str, strength: Strength = Strength.STRONG, **counts: Any) -> Case:
    findings = tuple(Finding(code=code, confidence=1.0, signal="behaviour") for code in codes)
    outcome = Outcome.FOUND if findings else Outcome.CLEAN
    return Case(
        transaction_id=f"t_{hours}",
        at=when(hours),
        direction=Direction.OUTBOUND,
        principal=Principal(account_id="a_1", tenant_id="n_1", basis=Basis.SASL, strength=strength),
        evidence_key=f"e_{hours}",
        delivery_keys=(f"r_{hours}",),
        text_fp="x",
        facts=MailFacts(
            recipients=1, external_recipients=1, has_attachments=False, has_links=False, counts=Counts(**counts)
        ),
        assessment=Assessment(
            verdicts=(Verdict(check="rate", version="1", outcome=outcome, findings=findings),)
        ),
        policy_digest="",
    )


def agreement(name: str) -> Agreement:
    file = path(f"policies/agreements/{name}.toml")
    return load(file.read_bytes(), str(file), ALL_CODES | CODES)


@pytest.mark.parametrize("name", ["tencent-exmail", "aliyun-mail", "house-aup"])
def test_a_running_burst_with_an_indicator_locks_without_a_breach_and_without_points(name: str) -> None:
    terms, history = agreement(name), History(account_id="a_1")
    decision = decide(case(0, "rate.burst.running", NEW), terms, Preset.SUPERVISED, history, ("r",))
    assert [type(x) for x in decision.records] == [r.HoldPlaced, r.TaskOpened]
    assert (decision.disposition, decision.reasons[0].code) == (Disposition.REJECT, "standing.hold")
    # Behind the queue such mail waits: it is on record nowhere.
    assert (decision.is_recorded, decision.violations, decision.incident_id) == (False, (), None)
    for record in decision.records:
        history = apply(history, record)
    assert standing_at(history, terms, when(1)).half_points == 0
    again = decide(case(1, "rate.burst.running", NEW), terms, Preset.SUPERVISED, history, ("r",))
    assert again.records == ()


@pytest.mark.parametrize(
    "item",
    [
        case(0, "rate.burst.running"),
        case(0, NEW, MANY),
        case(0, "rate.burst.running", UNLIKE),
        case(0, "rate.burst.running", NEW, strength=Strength.MEDIUM),
    ],
)
def test_volume_alone_is_no_indicator_and_an_indicator_alone_no_burst(item: Case) -> None:
    decision = decide(item, TERMS, Preset.SUPERVISED, History(account_id="a_1"), ("r",))
    assert decision.records == ()


def test_what_the_counters_still_hold_locks_nothing_right_after_a_release() -> None:
    history = History(account_id="a_1")
    for record in decide(case(0, "rate.burst.running", NEW), TERMS, Preset.SUPERVISED, history, ("r",)).records:
        history = apply(history, record)
    hold = history.holds[0][0]
    history = apply(history, r.HoldReleased(at=when(1), hold_id=hold.hold_id, by="mo", reason="test"))
    soon = decide(case(1.5, "rate.burst.running", NEW), TERMS, Preset.SUPERVISED, history, ("r",))
    later = decide(case(2.5, "rate.burst.running", NEW), TERMS, Preset.SUPERVISED, history, ("r",))
    assert (soon.records, bool(later.records)) == ((), True)


def test_that_a_script_sends_decides_nothing_alone_or_beside_another_sign() -> None:
    """TX-3.4.3 is C2: an account whose own printer or script sends is never locked for that, whatever a file says. And
    who sends chooses what he calls himself: it lowers no points."""
    script = "rate.client.automated"
    for signs, is_locked in (((script,), False), ((script, NEW), True), ((script, UNLIKE), False), ((NEW,), True)):
        account = Account()
        account.mail(0, "malware", *signs)
        assert (account.at(0.1).security.kind == "hold" and account.at(0.1).security.until is None) is is_locked, signs
        spammer = Account()
        spammer.mail(0, "spam.outbound", *signs, recipients=1200)
        assert [s.is_provisional for s in spammer.at(0.1).strikes] == [is_locked], signs
    rules = SecuritySection(indicators=(script,), never_alone=())
    assert not rules.speaks(("client.automated",))
    assert not rules.speaks((script, "client.automated"))
    assert not SecuritySection().speaks((script, "client.automated", "client.country"))
    assert rules.speaks((script, "client.new"))
    assert "client.automated" in rules.reported


def test_a_reported_script_locks_nobody_and_gives_no_points() -> None:
    account = Account()
    seen = r.IndicatorSeen(at=when(0), account_id="a_1", indicator="client.automated", by="watcher")
    account.records += commit_indicator(account.history, seen, TERMS).records
    standing = account.at(1)
    assert (standing.rung, standing.half_points, standing.holds) == (Rung.NONE, 0, ())
    # Beside a network that is new it speaks for the mail that follows.
    account.mail(2, "malware", NEW)
    assert account.history.incidents[0].indicators == {NEW, "client.automated"}


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_standing_document() -> None:
    """STANDING 5.11, in every shipped agreement."""
    for name in ("tencent-exmail", "aliyun-mail", "aliyun-supplement", "house-aup"):
        table = agreement(name).security
        assert (table.trickle_messages_day, table.watch_hours, table.watch_unverified_hours) == (20, 72, 168)
        assert (table.watch_external_recipients_day, table.watch_recipients_message) == (50, 10)
        assert (table.attestation_days, table.attestation_tenant_days, table.remind_days) == (90, 30, 7)
    assert agreement("tencent-exmail").security.custody_clauses == ("3.6",)
    assert agreement("aliyun-mail").security.custody_clauses == ()


def test_an_indicator_that_no_check_gives_is_refused_with_its_line() -> None:
    file = path("policies/agreements/tencent-exmail.toml")
    broken = file.read_bytes().replace(b'indicators = ["rate.client.new"', b'indicators = ["rate.client.typo"')
    with pytest.raises(ConfigError, match=r"no check gives the finding 'rate.client.typo'") as err:
        load(broken, "x.toml", ALL_CODES | CODES)
    assert "x.toml" in str(err.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"never_alone": ("client.moon",)}, "neither indicators nor reported"),
        ({"watch_hours": 100, "watch_unverified_hours": 99}, "not below watch_hours"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SecuritySection(**given)


def test_security_is_clear_without_a_hold() -> None:
    assert security_at(History(account_id="a_1"), TERMS, START).kind == "clear"
