"""The edges of the registers: from when until when, to how many, of whom.  STANDING 5.7-12, 5.7-25; TX-3.4, 3.5.1."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.registers import Relief, advise, in_force, is_to_few, relieve
from filterd.model import records as r
from filterd.model.decision import Case, Counts, MailFacts
from filterd.model.sanction import Ground, Mode, Violation
from filterd.model.session import Direction
from filterd.model.standing import History, Surroundings
from tests.agreement.cases import case
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, SECOND, T0, history

TERMS = shipped()
assert TERMS.registers is not None
RULES = TERMS.registers
FACTS = MailFacts(recipients=1, external_recipients=1, has_attachments=False, has_links=False)
UNTIL = T0 + 30 * DAY


def violation(category: str, mode: Mode = Mode.A, codes: tuple[str, ...] = ("link.feed.match",)) -> Violation:
    found = TERMS.category_of(category)
    return Violation(
        category=category,
        family=found.family,
        mode=mode,
        severity=found.fixed_severity,
        ground=Ground(kind="clause", ids=found.ground),
        finding_codes=codes,
    )


PHISH, VIRUS, ADVERT = violation("phishing.known"), violation("malware"), violation("spam.advert", Mode.B)


def mail(at: datetime = T0, facts: MailFacts = FACTS, **changes: Any) -> Case:
    return case((), at=at, facts=facts, **changes)


def relief(
    *found: Violation,
    entries: tuple[r.Record, ...] = (),
    item: Case | None = None,
    mine: tuple[r.Record, ...] = (),
) -> Relief:
    around = Surroundings(tenant=History(account_id="n_1", further=entries))
    return relieve(found, item or mail(), TERMS, history(further=mine), around)


def given(**changes: Any) -> r.AuthorisationGiven:
    said: dict[str, Any] = {
        "at": T0,
        "entry_id": "g_1",
        "tenant_id": "n_1",
        "account_id": None,
        "clauses": PHISH.ground.ids,
        "recipient_domains": (),
        "max_recipients_day": None,
        "since": T0,
        "until": UNTIL,
        "document": "D-1",
        "by": "Ana",
        "approver": "Bo",
    }
    return r.AuthorisationGiven(**(said | changes))


def ended(at: datetime, entry_id: str = "g_1") -> r.EntryEnded:
    return r.EntryEnded(at=at, entry_id=entry_id, by="Ana", reason="x")


# --- what holds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "more", "expected"),
    [
        (given(), (), [False, True, True, False]),
        (given(since=T0 + DAY), (), [False, False, True, False]),
        # Written down late, it holds from then on.
        (given(at=T0 + DAY), (), [False, False, True, False]),
        (given(), (ended(UNTIL - SECOND),), [False, True, False, False]),
        (given(), (ended(UNTIL),), [False, True, True, False]),
        (given(), (ended(T0, "g_2"),), [False, True, True, False]),
    ],
    ids=["its term", "later", "written later", "ended", "ended at its end", "another ended"],
)
def test_an_entry_holds_from_its_first_instant_until_its_last(
    entry: r.AuthorisationGiven, more: tuple[r.Record, ...], expected: list[bool]
) -> None:
    tenant = History(account_id="n_1", further=(entry, *more))
    instants = (T0 - SECOND, T0, UNTIL - SECOND, UNTIL)
    assert [bool(in_force(tenant, r.AuthorisationGiven, at)) for at in instants] == expected


def test_a_declaration_has_no_end_of_its_own() -> None:
    stream = r.StreamDeclared(
        at=T0,
        entry_id="g_2",
        tenant_id="n_1",
        account_id="a_1",
        key="k",
        key_kind="list_id",
        consent="signup",
        by="Chief",
    )
    tenant = History(account_id="n_1", further=(stream,))
    assert in_force(tenant, r.StreamDeclared, T0 + 900 * DAY) == (stream,)


# --- authorisations ---------------------------------------------------------------------------------------------------

INSIDE: dict[str, Any] = {"direction": Direction.INTERNAL}


def to(*domains: str, day: int = 1) -> MailFacts:
    return replace(FACTS, recipient_domains=domains, counts=Counts(recipients_day=day))


@pytest.mark.parametrize(
    ("entry", "item", "is_allowed"),
    [
        (given(), mail(**INSIDE), True),
        (given(), mail(facts=to("x.example")), False),
        (given(recipient_domains=("x.example", "y.example")), mail(facts=to("x.example")), True),
        (given(recipient_domains=("x.example",)), mail(facts=to("x.example", "z.example")), False),
        # Of whose recipients nothing is known is in nobody's scope.
        (given(recipient_domains=("x.example",)), mail(facts=to()), False),
        (given(max_recipients_day=5), mail(facts=to(day=5), **INSIDE), True),
        (given(max_recipients_day=5), mail(facts=to(day=6), **INSIDE), False),
        (given(account_id="a_1"), mail(**INSIDE), True),
        (given(account_id="a_2"), mail(**INSIDE), False),
        (given(clauses=PHISH.ground.ids[:1]), mail(**INSIDE), len(PHISH.ground.ids) == 1),
        (given(clauses=("9.9",)), mail(**INSIDE), False),
    ],
)
def test_case_authorised_drill_inside_outside_expired(
    entry: r.AuthorisationGiven, item: Case, is_allowed: bool
) -> None:
    found = relief(PHISH, entries=(entry,), item=item)
    assert (found.counted, found.stopped) == (((), ()) if is_allowed else ((PHISH,), (PHISH,)))
    assert found.why == ((("register.authorisation", "g_1"),) if is_allowed else ())
    assert found.allowed == (frozenset(PHISH.finding_codes) if is_allowed else frozenset())


def test_what_is_authorised_is_one_breach_and_not_the_others_of_the_mail() -> None:
    other = violation("malware", codes=("virus.signature.match",))
    found = relief(PHISH, other, entries=(given(),), item=mail(**INSIDE))
    assert (found.counted, found.allowed) == ((other,), frozenset(PHISH.finding_codes))
    # A finding that also means something nobody has allowed still stops the mail.
    found = relief(PHISH, VIRUS, entries=(given(),), item=mail(**INSIDE))
    assert (found.counted, found.allowed) == ((VIRUS,), frozenset())
    # The first entry that covers it is named; one that does not hides none that does.
    two = (given(entry_id="g_0", clauses=("9.9",)), given())
    assert relief(PHISH, entries=two, item=mail(**INSIDE)).why == (("register.authorisation", "g_1"),)


# --- protected senders and migrations ---------------------------------------------------------------------------------

PROTECTED = r.SenderProtected(
    at=T0, entry_id="g_3", tenant_id="n_1", account_id="a_1", kind="hospital", by="Ana", approver="Bo"
)
MIGRATION = r.MigrationOpened(at=T0, entry_id="g_4", tenant_id="n_1", since=T0, until=UNTIL, by="Ana")


def test_case_5_7_25_a_protected_sender_is_looked_at_within_the_hour_and_once_a_day() -> None:
    found = relief(ADVERT, VIRUS, entries=(PROTECTED,))
    assert (found.counted, found.stopped, found.why) == ((), (VIRUS,), (("register.protected", "g_3"),))
    (page,) = found.records
    assert isinstance(page, r.TaskOpened)
    assert (page.due_at - T0, page.account_id) == (DAY / 24, "a_1")

    def page_at(at: datetime) -> str:
        (row,) = relief(ADVERT, entries=(PROTECTED,), item=mail(at)).records
        assert isinstance(row, r.TaskOpened)
        return row.task_id

    assert page_at(T0) == page_at(T0 + DAY - SECOND) != page_at(T0 + DAY)
    # Another account's protection, and what is no breach at all, page nobody.
    assert relief(ADVERT, entries=(replace(PROTECTED, account_id="a_2"),)).why != found.why
    assert relief(entries=(PROTECTED,)) == Relief(counted=(), stopped=())
    drill = (given(), PROTECTED)
    assert relief(PHISH, entries=drill, item=mail(**INSIDE)).records == ()


def test_case_migration_import_no_points_and_only_what_harms_is_stopped() -> None:
    found = relief(ADVERT, VIRUS, entries=(MIGRATION, PROTECTED))
    assert found == Relief(counted=(), stopped=(VIRUS,), why=(("register.migration", "g_4"),))
    # In mode B nothing is sure enough.
    assert relief(replace(VIRUS, mode=Mode.B), entries=(MIGRATION,)).stopped == ()
    assert relief(VIRUS, entries=(MIGRATION,), item=mail(UNTIL)).counted == (VIRUS,)


# --- passed on --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipients", "today", "expected"),
    [(5, 20, True), (6, 20, False), (5, 21, False), (1, 1, True), (6, 21, False)],
)
def test_case_5_7_12_received_first_is_to_at_most_five_and_twenty_a_day(
    recipients: int, today: int, expected: bool
) -> None:
    facts = replace(FACTS, recipients=recipients, counts=Counts(recipients_day=today), was_received_first=True)
    assert is_to_few(facts, RULES) is expected
    found = relief(PHISH, item=mail(facts=facts))
    assert (found.counted, found.stopped) == (() if expected else (PHISH,), (PHISH,))
    assert (("register.received_first", "") in found.why) is expected


def test_case_5_7_12_what_nobody_sent_here_first_counts() -> None:
    assert relief(PHISH).counted == (PHISH,)


# --- advice -----------------------------------------------------------------------------------------------------------


def advised(code: str, at: datetime = T0) -> r.Advised:
    return r.Advised(at=at, account_id="a_1", code=code)


def ignored(code: str, number: int) -> tuple[r.AdviceIgnored, ...]:
    return tuple(r.AdviceIgnored(at=T0, account_id="a_1", code=code, transaction_id=f"t_{n}") for n in range(number))


@pytest.mark.parametrize(
    ("mine", "at", "counts"),
    [
        ((), T0, False),
        ((advised("spam.advert"),), T0 + DAY - SECOND, False),
        ((advised("spam.advert"),), T0 + DAY, True),
        ((advised("malware"),), T0 + DAY, False),
        # The first advice counts: who was advised long ago is not advised anew.
        ((advised("spam.advert"), advised("spam.advert", T0 + DAY)), T0 + DAY, True),
    ],
)
def test_t_tx_tail_c_the_first_undeclared_run_is_advice_only(
    mine: tuple[r.Record, ...], at: datetime, counts: bool
) -> None:
    found = relief(ADVERT, VIRUS, item=mail(at), mine=mine)
    assert found.counted == ((ADVERT, VIRUS) if counts else (VIRUS,))
    assert found.stopped == (ADVERT, VIRUS)
    is_told = not any(isinstance(x, r.Advised) and x.code == "spam.advert" for x in mine)
    assert found.advice == (("spam.advert",) if is_told else ())
    assert (("register.advice", "") in found.why) is not counts


def test_t_tx_3_5_1_a_wrong_from_counts_once_advice_was_ignored_so_often() -> None:
    (code, least), *_ = RULES.advised.items()

    def said(*mine: r.Record, codes: tuple[str, ...] = (code,)) -> tuple[list[str], tuple[str, ...]]:
        rows, ripe = advise(codes, mail(), TERMS, history(further=mine))
        return [type(x).__name__ for x in rows], ripe

    assert said() == (["Advised"], ())
    assert said(advised(code)) == (["AdviceIgnored"], ())
    assert said(advised(code), *ignored(code, least - 1)) == (["AdviceIgnored"], ())
    assert said(advised(code), *ignored(code, least)) == ([], (code,))
    # What was ignored about something else says nothing here.
    assert said(advised(code), *ignored("malware", 9)) == (["AdviceIgnored"], ())
    # What is in no list is never advised about, and hides nothing behind it.
    assert said(codes=("malware", code)) == (["Advised"], ())
    without = TERMS.model_copy(update={"registers": None})
    assert advise((code,), mail(), without, history()) == ((), ())


def test_an_agreement_without_registers_counts_every_breach() -> None:
    terms = TERMS.model_copy(update={"registers": None})
    around = Surroundings(tenant=History(account_id="n_1", further=(MIGRATION,)))
    assert relieve((ADVERT,), mail(), terms, history(), around) == Relief(counted=(ADVERT,), stopped=(ADVERT,))


# --- streams ----------------------------------------------------------------------------------------------------------

STREAM = r.StreamDeclared(
    at=T0,
    entry_id="g_2",
    tenant_id="n_1",
    account_id="a_1",
    key="k",
    key_kind="list_id",
    consent="signup",
    by="Chief",
)
GOOD = replace(FACTS, stream_keys=("k",), has_one_click=True)


def noticed(condition: str, entry_id: str = "g_2", repair_by: datetime = T0 + 7 * DAY) -> r.StreamNoticed:
    return r.StreamNoticed(at=T0, entry_id=entry_id, tenant_id="n_1", condition=condition, repair_by=repair_by)


@pytest.mark.parametrize(
    ("rows", "item", "is_declared"),
    [
        ((STREAM,), mail(facts=GOOD), True),
        ((replace(STREAM, key="other"),), mail(facts=GOOD), False),
        ((replace(STREAM, account_id="a_2"),), mail(facts=GOOD), False),
        ((replace(STREAM, key="other", entry_id="g_9"), STREAM), mail(facts=GOOD), True),
        # On notice it has a week to mend what failed.
        ((STREAM, noticed("bounces")), mail(T0 + 7 * DAY - SECOND, GOOD), True),
        ((STREAM, noticed("bounces")), mail(T0 + 7 * DAY, GOOD), False),
        # The header is mended in the mail that has it; what is the stream's, by a declaration made anew.
        ((STREAM, noticed("missing_header")), mail(T0 + 7 * DAY, GOOD), True),
        ((STREAM, noticed("missing_header")), mail(T0 + 7 * DAY, replace(GOOD, has_one_click=False)), False),
        ((STREAM, noticed("missing_header")), mail(T0 + DAY, replace(GOOD, has_one_click=False)), True),
        (
            (replace(STREAM, entry_id="g_1"), ended(T0), STREAM, noticed("bounces", "g_1")),
            mail(T0 + 7 * DAY, GOOD),
            True,
        ),
        ((STREAM, noticed("bounces", "g_9")), mail(T0 + 7 * DAY, GOOD), True),
    ],
)
def test_case_declared_stream_each_condition(rows: tuple[r.Record, ...], item: Case, is_declared: bool) -> None:
    found = relief(ADVERT, VIRUS, entries=rows, item=item, mine=(advised("spam.advert", T0 - 9 * DAY),))
    assert found.counted == ((VIRUS,) if is_declared else (ADVERT, VIRUS))
    assert (("register.stream", "g_2") in found.why) is is_declared


def test_a_stream_without_the_header_is_put_on_notice_once_for_a_week() -> None:
    bare = mail(facts=replace(GOOD, has_one_click=False))
    (row,) = relief(ADVERT, entries=(STREAM,), item=bare).records
    assert row == noticed("missing_header")
    assert relief(ADVERT, entries=(STREAM, row), item=bare).records == ()
    assert relief(ADVERT, entries=(STREAM,), item=mail(facts=GOOD)).records == ()
    # Declared anew, it is the same stream; another one's notice is not its own.
    anew = (replace(STREAM, entry_id="g_1"), noticed("missing_header", "g_1"), ended(T0), STREAM)
    assert relief(ADVERT, entries=anew, item=bare).records == ()
    assert relief(ADVERT, entries=(noticed("missing_header", "g_9"), STREAM), item=bare).records == (row,)
