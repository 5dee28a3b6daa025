"""What somebody answered for beforehand: authorisations, streams, protected senders, migration, advice.

CLAUSES §2.2 (tail-c, declared stream), §2.3 (TX-3.4/3.5 opening, TX-3.5.1), AL-2.1, STANDING 5.7-25.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from filterd.agreement.decide import decide, is_for_the_record
from filterd.agreement.fold import apply
from filterd.model import records as r
from filterd.model.decision import Case, Decision, Disposition, MailFacts
from filterd.model.sanction import Preset, Rung
from filterd.model.session import Direction
from filterd.model.standing import History, Surroundings
from tests.agreement.cases import NOON, case
from tests.agreement.contract import shipped

TERMS = shipped()
PHISH = ("link.feed.match",)
ADVERT = ("content.advertising.model", "rate.message.bulk")
DAY = timedelta(days=1)
GIVEN = r.AuthorisationGiven(
    at=NOON,
    entry_id="g_1",
    tenant_id="n_1",
    account_id=None,
    clauses=("3.5.1", "3.5.3", "3.5.5"),
    recipient_domains=("partner.example",),
    max_recipients_day=500,
    since=NOON,
    until=NOON + 30 * DAY,
    document="D-1",
    by="Ana",
    approver="Bo",
)
STREAM = r.StreamDeclared(
    at=NOON,
    entry_id="g_2",
    tenant_id="n_1",
    account_id="a_1",
    key="stream-key",
    key_kind="list_id",
    consent="signup",
    by="Chief",
)
PROTECTED = r.SenderProtected(
    at=NOON, entry_id="g_3", tenant_id="n_1", account_id="a_1", kind="hospital", by="Ana", approver="Bo"
)
MIGRATION = r.MigrationOpened(
    at=NOON, entry_id="g_4", tenant_id="n_1", since=NOON, until=NOON + 7 * DAY, by="Ana"
)
FACTS = MailFacts(recipients=80, external_recipients=80, has_attachments=False, has_links=True)


class Account:
    """One account whose mail is decided about, one mail after the other."""

    def __init__(self, *entries: r.Record):
        self.history = History(account_id="a_1")
        self.tenant = History(account_id="n_1")
        for entry in entries:
            self.tenant = apply(self.tenant, entry)
        self.count = 0

    def sends(self, codes: tuple[str, ...], at: datetime = NOON, **changes: Any) -> Decision:
        self.count += 1
        mail = self._case(codes, at, changes)
        around = Surroundings(tenant=self.tenant, site=History(account_id="site"), seats=10)
        decision = decide(mail, TERMS, Preset.SUPERVISED, self.history, mail.delivery_keys, around)
        if decision.records:
            assert is_for_the_record(mail, TERMS, self.history)
        for record in decision.records:
            if isinstance(record, r.StreamNoticed):
                self.tenant = apply(self.tenant, record)
            else:
                self.history = apply(self.history, record)
        return decision

    def _case(self, codes: tuple[str, ...], at: datetime, changes: dict[str, Any]) -> Case:
        said = {
            "at": at,
            "transaction_id": f"t_{self.count}",
            "evidence_key": f"e_{self.count}",
            "text_fp": f"x_{self.count}",
            "delivery_keys": tuple(f"k{self.count}.{n}" for n in range(80)),
            "facts": FACTS,
        }
        return case(codes, **(said | changes))


def to(*domains: str, **more: Any) -> MailFacts:
    return replace(FACTS, recipient_domains=domains, **more)


# --- authorisations (TX-3.4, 3.5) ---------------------------------------------------------------------------------


def test_case_authorised_drill_inside() -> None:
    decision = Account(GIVEN).sends(PHISH, direction=Direction.INTERNAL)
    assert (decision.disposition, decision.violations, decision.records) == (Disposition.ACCEPT, (), ())
    # The violation is gone, the finding's explanation is not.
    assert [(x.code, x.ids) for x in decision.reasons] == [("register.authorisation", ("g_1",))]


def test_case_authorised_drill_at_the_partner_named() -> None:
    assert Account(GIVEN).sends(PHISH, facts=to("partner.example")).violations == ()


@pytest.mark.parametrize(
    ("entry", "changes"),
    [
        (GIVEN, {"facts": to("stranger.example")}),
        (GIVEN, {"facts": to("partner.example", "stranger.example")}),
        # Nobody knows where it goes: that is no scope.
        (GIVEN, {"facts": FACTS}),
        (replace(GIVEN, account_id="a_other"), {"direction": Direction.INTERNAL}),
        (GIVEN, {"direction": Direction.INTERNAL, "at": NOON + 30 * DAY}),
        (replace(GIVEN, clauses=("3.5.1", "3.5.3")), {"direction": Direction.INTERNAL}),
    ],
    ids=["outsider", "one outsider", "unknown recipients", "another account", "expired", "not all clauses"],
)
def test_case_authorised_drill_outside_or_expired(entry: r.AuthorisationGiven, changes: dict[str, Any]) -> None:
    decision = Account(entry).sends(PHISH, **changes)
    assert decision.disposition is Disposition.REJECT
    assert [v.category for v in decision.violations] == ["phishing.known"]


def test_an_authorisation_that_was_ended_authorises_nothing() -> None:
    ended = r.EntryEnded(at=NOON, entry_id="g_1", by="Ana", reason="over")
    assert Account(GIVEN, ended).sends(PHISH, direction=Direction.INTERNAL).violations


def test_a_332_category_cannot_be_authorised_away() -> None:
    everything = replace(GIVEN, clauses=tuple(TERMS.registers.authorisable))  # type: ignore[union-attr]
    decision = Account(everything).sends(("virus.signature.match",), direction=Direction.INTERNAL)
    assert decision.disposition is Disposition.REJECT
    assert [v.category for v in decision.violations] == ["malware"]


# --- declared streams (tail-c) ------------------------------------------------------------------------------------


def declared(**more: Any) -> MailFacts:
    return replace(FACTS, **({"stream_keys": ("stream-key",), "has_one_click": True} | more))


def test_case_declared_stream_passes() -> None:
    account = Account(STREAM)
    for day in range(3):
        decision = account.sends(ADVERT, NOON + day * DAY, facts=declared())
        assert (decision.disposition, decision.violations) == (Disposition.ACCEPT, ())
    assert account.history.incidents == ()


def test_case_declared_stream_a_header_is_no_declaration() -> None:
    account = Account()
    first = account.sends(ADVERT, facts=declared())
    assert (first.disposition, first.violations, first.advice) == (Disposition.QUARANTINE, (), ("spam.advert",))
    later = account.sends(ADVERT, NOON + 2 * DAY, facts=declared())
    assert [v.category for v in later.violations] == ["spam.advert"]


@pytest.mark.parametrize(
    "facts", [declared(stream_keys=("another",)), declared(stream_keys=())], ids=["another list", "no list"]
)
def test_case_declared_stream_each_condition_key(facts: MailFacts) -> None:
    assert Account(STREAM).sends(ADVERT, facts=facts).advice == ("spam.advert",)


def test_case_declared_stream_each_condition_header() -> None:
    account = Account(STREAM)
    first = account.sends(ADVERT, facts=declared(has_one_click=False))
    # On notice: seven days to mend it, and until then it passes.
    assert first.violations == ()
    assert [x.repair_by for x in account.tenant.of(r.StreamNoticed)] == [NOON + 7 * DAY]
    account.sends(ADVERT, NOON + DAY, facts=declared(has_one_click=False))
    assert len(account.tenant.of(r.StreamNoticed)) == 1
    # Not mended: it counts as undeclared, and that begins with advice.
    lacking = declared(has_one_click=False)
    assert account.sends(ADVERT, NOON + 8 * DAY, facts=lacking).advice == ("spam.advert",)
    assert account.sends(ADVERT, NOON + 10 * DAY, facts=lacking).violations


def test_a_stream_is_struck_for_what_it_does_not_cover() -> None:
    decision = Account(STREAM).sends((*ADVERT, *PHISH), facts=declared())
    assert [v.category for v in decision.violations] == ["phishing.known"]


# --- advice first -------------------------------------------------------------------------------------------------


def test_a_first_undeclared_run_is_advice_until_its_window_is_over() -> None:
    account = Account()
    assert account.sends(ADVERT).rung_after is Rung.NONE
    assert account.sends(ADVERT, NOON + timedelta(hours=23)).violations == ()
    assert len(account.history.of(r.Advised)) == 1
    assert account.sends(ADVERT, NOON + DAY).rung_after is Rung.WARN


def test_another_tenants_name_counts_after_three_refusals_that_followed_advice() -> None:
    account = Account()
    for minute in range(4):
        decision = account.sends(("sender.from.other_tenant",), NOON + timedelta(minutes=minute))
        assert (decision.disposition, decision.violations) == (Disposition.REJECT, ())
    assert len(account.history.of(r.AdviceIgnored)) == 3
    decision = account.sends(("sender.from.other_tenant",), NOON + timedelta(minutes=5))
    assert [(v.category, v.severity) for v in decision.violations] == [("impersonation.exact", 2)]


def test_a_retry_of_what_was_refused_with_advice_is_not_ignoring_it() -> None:
    account = Account()
    account.sends(("sender.from.other_tenant",))
    mail = account._case(("sender.from.other_tenant",), NOON, {})
    again = decide(mail, TERMS, Preset.SUPERVISED, account.history, ())
    assert (again.disposition, again.records) == (Disposition.REJECT, ())


# --- protected senders, migration ---------------------------------------------------------------------------------


def test_case_5_7_25_a_protected_sender_is_looked_at_and_not_struck() -> None:
    account = Account(PROTECTED)
    decision = account.sends(ADVERT)
    assert (decision.disposition, decision.violations) == (Disposition.ACCEPT, ())
    assert [type(x) for x in decision.records] == [r.TaskOpened]
    # What is dangerous to whoever opens it is stopped all the same, and gives no points either.
    virus = account.sends(("virus.signature.match",))
    assert (virus.disposition, virus.violations) == (Disposition.REJECT, ())


def test_case_migration_import_no_points() -> None:
    account = Account(MIGRATION)
    for codes in (ADVERT, ("content.spam.model", "rate.burst.running"), ("virus.signature.match",)):
        assert account.sends(codes).violations == ()
    assert account.history.incidents == ()
    assert account.sends(("virus.signature.match",)).disposition is Disposition.REJECT
    assert account.sends(("virus.signature.match",), NOON + 7 * DAY).violations
