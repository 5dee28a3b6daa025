"""AL binds by protection alone; its supplement is a ladder of its own, with another end, for those who signed it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest

from filterd.agreement.crosswalk import rung_reach
from filterd.agreement.decide import decide
from filterd.agreement.examples import START, run_example
from filterd.agreement.fold import apply
from filterd.agreement.load import load, unmapped
from filterd.agreement.standing import standing_at
from filterd.agreement.supplement import effective_terms, in_force_from, limited, misbound, pinned_terms, unfounded
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.errors import ConfigError
from filterd.model import records as r
from filterd.model.decision import Case, Disposition, MailFacts
from filterd.model.principal import Basis, Principal, Strength, Supplement, Tenant
from filterd.model.sanction import Mode, Preset, Rung
from filterd.model.session import Direction
from filterd.model.standing import History
from filterd.model.verdict import Assessment, Finding, Outcome, Verdict
from filterd.share import path
from tests.agreement.contract import CODES

pytestmark = pytest.mark.slow

NAMES = ("aliyun-mail", "aliyun-supplement", "tencent-exmail")
SIGNED = Supplement(
    agreement="aliyun-supplement",
    document="C-17",
    signed_by_provider=date(2026, 2, 1),
    signed_by_tenant=date(2026, 2, 20),
    effective_from=date(2026, 3, 1),
)
# Midnight in Shanghai.
FIRST_INSTANT = datetime(2026, 2, 28, 16, tzinfo=UTC)
SIGNALS = {"rate": "behaviour", "content": "content", "sender": "identity", "link": "link", "attachment": "attachment"}
STRONG = Principal(account_id="a_1", tenant_id="n_1", basis=Basis.SASL, strength=Strength.STRONG)


@cache
def text(name: str) -> str:
    return path(f"policies/agreements/{name}.toml").read_text(encoding="utf-8")


@cache
def shipped(name: str) -> Agreement:
    return load(text(name).encode(), f"{name}.toml", ALL_CODES | CODES)


def terms() -> dict[str, Agreement]:
    return {name: shipped(name) for name in NAMES}


def base() -> Agreement:
    return shipped("aliyun-mail")


def supplement() -> Agreement:
    return shipped("aliyun-supplement")


def case(number: int, codes: tuple[str, ...], at: datetime, recipients: int, confidence: float = 1.0) -> Case:
    found = tuple(Finding(code=c, confidence=confidence, signal=SIGNALS.get(c.split(".")[0])) for c in codes)
    verdict = Verdict(check="x", version="1", outcome=Outcome.FOUND if found else Outcome.CLEAN, findings=found)
    return Case(
        transaction_id=f"t_{number}",
        at=at,
        direction=Direction.OUTBOUND if number % 5 else Direction.INTERNAL,
        principal=STRONG,
        evidence_key=f"e_{number}",
        delivery_keys=tuple(f"r{number}.{n}" for n in range(recipients)),
        text_fp=f"x_{number}",
        facts=MailFacts(
            recipients=recipients, external_recipients=recipients, has_attachments=False, has_links=False
        ),
        assessment=Assessment(verdicts=(verdict,)),
        policy_digest="",
    )


def stream(seed: int, length: int = 25) -> list[Case]:
    """A random account: any findings, in any company, however sure, however many."""
    chance = random.Random(seed)
    known, at, out = sorted(CODES), START, []
    for number in range(length):
        at += timedelta(hours=chance.choice((0, 1, 5, 30, 200)))
        codes = tuple(chance.sample(known, chance.randint(0, 8)))
        out.append(case(number, codes, at, chance.choice((1, 60, 2000)), chance.choice((0.2, 0.7, 1.0))))
    return out


# --- the agreement itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_nothing_a_check_finds_breaches_the_bare_agreement(seed: int) -> None:
    """prop_no_ground_no_sanction: no violation, nothing on record but what protects, no notice, under any preset."""
    preset, history = list(Preset)[seed % 3], History(account_id="a_1")
    for item in stream(seed):
        decision = decide(item, base(), preset, history, item.delivery_keys)
        assert (decision.violations, decision.notices) == ((), ())
        # A running burst with an indicator locks sending all the same (HOUSE rule 8), and asks somebody to look.
        assert all(isinstance(x, r.HoldPlaced | r.TaskOpened) for x in decision.records)
        assert (decision.incident_id, decision.rung_after) == (None, Rung.NONE)
        assert standing_at(history, base(), item.at).half_points == 0


@pytest.mark.parametrize("seed", range(10))
def test_the_same_mail_under_the_supplement_has_consequences(seed: int) -> None:
    history, seen = History(account_id="a_1"), []
    for item in stream(seed):
        decision = decide(item, supplement(), Preset.SUPERVISED, history, item.delivery_keys)
        for record in decision.records:
            history = apply(history, record)
        seen += decision.violations
    assert seen
    assert {v.ground.kind for v in seen} == {"supplement"}
    assert {key for v in seen for key in v.ground.ids} <= set(supplement().clause)
    assert history.sanctions


def test_the_bare_agreement_has_neither_category_nor_way_to_points() -> None:
    assert (base().category, base().rule, base().bulk) == ((), (), ())
    assert base().enforcing_party == supplement().enforcing_party == "reseller"
    assert all(points == 0 for points in base().points.by_severity.values())
    assert [step.as_rung for step in base().ladder] == [Rung.WARN]
    assert not any(clause.in_mail for clause in base().clause.values())


def test_every_clause_row_of_the_agreement_is_there() -> None:
    rows = "1.1 1.2 1.3 2.1 2.2 3.1 3.2 4.1 4.2 5.1 5.2 6.1 6.2 6.3 7.1 7.2 8.1 9.1 9.2"
    assert list(base().clause) == rows.split()


@pytest.mark.parametrize("name", ["aliyun-mail", "aliyun-supplement"])
def test_no_finding_is_left_unnamed(name: str) -> None:
    assert unmapped(shipped(name), CODES) == ()


@pytest.mark.parametrize("name", ["aliyun-mail", "aliyun-supplement"])
def test_every_protection_and_piece_of_advice_is_needed(name: str) -> None:
    found = shipped(name)
    for field in ("protection", "advisory") if name == "aliyun-mail" else ():
        items = getattr(found, field)
        for index, item in enumerate(items):
            mutant = found.model_copy(update={field: (*items[:index], *items[index + 1 :])})
            assert any(run_example(mutant, example) for example in mutant.example), item


def test_a_virus_is_refused_and_a_foreign_sender_too() -> None:
    stopped = {
        code
        for code in CODES
        if decide(case(1, (code,), START, 1), base(), Preset.SUPERVISED, None, ()).disposition is Disposition.REJECT
    }
    assert stopped == {item.finding for item in base().protection}
    assert {"virus.signature.match", "sender.from.other_tenant", "attachment.type.blocked"} <= stopped


# --- the supplement ---------------------------------------------------------------------------------------------------


def test_the_supplement_is_the_same_table_on_other_ground() -> None:
    ours, theirs = supplement(), shipped("tencent-exmail")
    tables = [[c.model_dump(exclude={"ground"}) for c in found.category] for found in (ours, theirs)]
    assert tables[0] == tables[1]
    assert (ours.rule, ours.bulk, ours.advisory) == (theirs.rule, theirs.bulk, theirs.advisory)
    assert ours.protection == theirs.protection
    assert {key for c in ours.category for key in c.ground} == {f"S{n}" for n in range(2, 14)}


def test_no_preset_reaches_beyond_a_suspension() -> None:
    reached = rung_reach(supplement())
    assert max(item.rung for item in reached) is Rung.SUSPEND
    assert not any(step.propose_termination for step in supplement().ladder)
    top = [x for x in reached if x.category == "malware" and x.preset is Preset.STANDING_ORDER]
    assert [x.text for x in top] == ["suspend open-ended"]
    locked = {c.id for c in supplement().category if c.mode in (Mode.C1, Mode.C2) or c.people_only}
    assert {x.rung for x in reached if x.category in locked} == {Rung.NONE}


def test_a_supplement_whose_ladder_ends_the_account_is_refused() -> None:
    top = 'at = 12\nrung = "suspend"\n'
    mutant = text("aliyun-supplement").replace(top, f"{top}propose_termination = true\n")
    assert mutant != text("aliyun-supplement")
    with pytest.raises(ConfigError, match="propose_termination"):
        load(mutant.encode(), "mutant.toml", CODES)


def test_without_the_day_of_notice_an_example_fails() -> None:
    loose = supplement().incident.model_copy(update={"suspension_notice_hours": None})
    mutant = supplement().model_copy(update={"incident": loose})
    failed = [e.name for e in mutant.example if run_example(mutant, e)]
    assert failed == ["three viruses within a day of the first notice restrict and do not suspend"]


def test_what_was_held_back_for_want_of_notice_is_a_task() -> None:
    history = History(account_id="a_1")
    for number, hour in enumerate((0, 8, 16)):
        item = case(number + 1, ("virus.signature.match",), START + timedelta(hours=hour), 1)
        decision = decide(item, supplement(), Preset.SUPERVISED, history, item.delivery_keys)
        for record in decision.records:
            history = apply(history, record)
        if hour < 16:
            told = r.NoticeSent(
                at=item.at, notice_id="m", account_id="a_1", incident_ids=(decision.incident_id or "",),
                template="warning", languages=("en",), channel="mail", outcome="accepted", deemed_at=item.at,
                body_digest="",
            )  # fmt: skip
            history = apply(history, told)
    tasks = [x for x in decision.records if isinstance(x, r.TaskOpened)]
    assert [(t.what, t.warranted, t.imposed) for t in tasks] == [
        ("held back: notice before a suspension", "suspend open-ended", "restrict 168 h")
    ]


def test_the_text_to_sign_has_every_section_in_both_languages() -> None:
    for language in ("zh", "en"):
        page = path(f"policies/agreements/aliyun-supplement.{language}.md").read_text(encoding="utf-8")
        assert [key for key in supplement().clause if f"**{key} " not in page] == []
    clauses = supplement().clause.values()
    assert all(clause.en and clause.zh and clause.number for clause in clauses)


def test_points_of_the_annex_are_those_of_the_file() -> None:
    points = supplement().points
    annex = path("policies/agreements/aliyun-supplement.en.md").read_text(encoding="utf-8").partition("## Annex")[2]
    for severity, word in (("S1", "light"), ("S2", "middle"), ("S3", "grave")):
        row = next(line for line in annex.splitlines() if line.startswith(f"| {word}"))
        assert f"| {points.by_severity[severity]:g} | {points.counts_days[severity]} days |" in row  # type: ignore[index]
    steps = [(step.at, step.hours) for step in supplement().ladder]
    assert steps == [(0.5, None), (3, 24), (5, 168), (8, 168), (12, None)]


# --- whom it binds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "at", "bound_by"),
    [
        (None, FIRST_INSTANT, "aliyun-mail"),
        (SIGNED, FIRST_INSTANT - timedelta(seconds=1), "aliyun-mail"),
        (SIGNED, FIRST_INSTANT, "aliyun-supplement"),
        (replace(SIGNED, signed_by_tenant=None), FIRST_INSTANT, "aliyun-mail"),
        (replace(SIGNED, signed_by_provider=None), FIRST_INSTANT, "aliyun-mail"),
        (replace(SIGNED, effective_from=None), datetime(2026, 2, 19, 16, tzinfo=UTC), "aliyun-supplement"),
        (replace(SIGNED, effective_from=None), datetime(2026, 2, 19, 15, tzinfo=UTC), "aliyun-mail"),
        # Whoever signs late is not bound from before.
        (replace(SIGNED, signed_by_tenant=date(2026, 4, 1)), datetime(2026, 3, 30, tzinfo=UTC), "aliyun-mail"),
        (replace(SIGNED, agreement="tencent-exmail"), FIRST_INSTANT, "aliyun-mail"),
        (replace(SIGNED, agreement="gone"), FIRST_INSTANT, "aliyun-mail"),
    ],
)
def test_only_a_record_in_force_binds(record: Supplement | None, at: datetime, bound_by: str) -> None:
    assert effective_terms(terms(), "aliyun-mail", record, at).id == bound_by


def test_a_supplement_to_another_agreement_binds_nobody() -> None:
    assert effective_terms(terms(), "tencent-exmail", SIGNED, FIRST_INSTANT).id == "tencent-exmail"


def test_the_record_takes_effect_at_midnight_of_the_agreement() -> None:
    assert in_force_from(SIGNED, supplement()) == FIRST_INSTANT
    assert in_force_from(replace(SIGNED, signed_by_tenant=None), supplement()) is None


def test_what_was_not_agreed_on_breaches_nothing() -> None:
    agreed = ("malware", "illegal.gambling")
    bound, seen = limited(supplement(), agreed), set()
    for seed in range(15):
        history = History(account_id="a_1")
        for item in stream(seed, 40):
            decision = decide(item, bound, Preset.STANDING_ORDER, history, item.delivery_keys)
            for record in decision.records:
                history = apply(history, record)
            seen |= {v.category for v in decision.violations}
    assert seen == set(agreed)


def test_a_finding_that_leads_nowhere_is_shown_and_the_rest_stays() -> None:
    bound = limited(supplement(), ("malware",))
    assert unmapped(bound, CODES) == ()
    said = decide(case(1, ("content.spam.model",), START, 900), bound, Preset.SUPERVISED, None, ())
    assert (said.disposition, said.advisory) == (Disposition.ACCEPT, ("content.spam.model",))
    # What protects mail needs no ground.
    said = decide(case(2, ("link.feed.match",), START, 1), bound, Preset.SUPERVISED, None, ())
    assert said.disposition is Disposition.REJECT
    assert bound.digest == supplement().digest
    assert bound.find_category("spam.outbound") is not None
    assert limited(supplement(), ()) is supplement()


def test_a_decision_begun_under_a_withdrawn_supplement_ends_under_the_agreement() -> None:
    tenant = Tenant(tenant_id="n_1", name="x", agreement="aliyun-mail", supplement=SIGNED)
    assert pinned_terms(supplement(), terms(), tenant, FIRST_INSTANT).id == "aliyun-supplement"
    assert pinned_terms(supplement(), terms(), replace(tenant, supplement=None), FIRST_INSTANT).id == "aliyun-mail"
    assert pinned_terms(supplement(), terms(), None, FIRST_INSTANT).id == "aliyun-mail"
    tencent = shipped("tencent-exmail")
    assert pinned_terms(tencent, terms(), replace(tenant, agreement="aliyun-mail"), FIRST_INSTANT) is tencent


def test_a_decision_begun_under_an_older_text_ends_under_it() -> None:
    older = supplement().model_copy(update={"version": "older", "digest": "0" * 64})
    tenant = Tenant(tenant_id="n_1", name="x", agreement="aliyun-mail", supplement=SIGNED)
    assert pinned_terms(older, terms(), tenant, FIRST_INSTANT) is older


@pytest.mark.parametrize(
    ("agreement", "record", "words"),
    [
        ("aliyun-mail", None, None),
        ("aliyun-mail", SIGNED, None),
        ("tencent-exmail", None, None),
        ("aliyun-supplement", None, "a supplement to 'aliyun-mail'"),
        ("nobody-knows", None, "none of aliyun-mail, tencent-exmail"),
        ("tencent-exmail", SIGNED, "'tencent-exmail' has none"),
        ("aliyun-mail", replace(SIGNED, agreement="gone"), "'aliyun-mail' has aliyun-supplement"),
        ("aliyun-mail", replace(SIGNED, categories=("malware", "weather")), "'weather'"),
    ],
)
def test_a_tenant_bound_the_wrong_way_is_told_so(agreement: str, record: Supplement | None, words: str | None) -> None:
    said = misbound(terms(), agreement, record)
    assert (said is None) if words is None else (said is not None and words in said)


def test_a_supplement_to_nothing_is_told_so() -> None:
    assert unfounded(terms()) is None
    alone = unfounded({"aliyun-supplement": supplement()})
    assert alone is not None
    assert "'aliyun-mail'" in alone
    chained = supplement().model_copy(update={"id": "more", "supplements": "aliyun-supplement"})
    assert unfounded(terms() | {"more": chained}) is not None
