"""What somebody answered for beforehand: which violations of a mail count, which only stop it, which are none.

Authorisations (TX-3.4, 3.5), declared streams and advice before the first strike (CLAUSES §2.2), protected senders and
migration windows (STANDING 5.7-25). The register removes the violation, never the finding: what was found stays in the
log, and what no register speaks of is untouched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from filterd.agreement.complaints import bounced, complained, ignored
from filterd.agreement.sections_registers import RegistersSection
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import Case, MailFacts
from filterd.model.ids import derived_id
from filterd.model.sanction import Mode, Violation
from filterd.model.session import Direction
from filterd.model.standing import History, Surroundings

# The condition of a declared stream that each of its mails keeps or lacks, and those that are the whole stream's.
_HEADER, _COMPLAINTS, _BOUNCES, _OPT_OUTS = "missing_header", "complaints", "bounces", "opt_outs"

R = TypeVar("R", r.AuthorisationGiven, r.StreamDeclared, r.SenderProtected, r.MigrationOpened, r.NotifierMuted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """What registers leave of a mail's violations.

    Args:
        counted: those that give points.
        stopped: those that decide about the mail, counted or not.
        why: for each that does not count, a code such as `register.migration` and the entry it rests on.
        records: about the account and its tenant, to be appended whatever else follows.
        advice: codes of advice that is due.
        allowed: findings behind authorised acts: no protection stops a mail for them either.
    """

    counted: tuple[Violation, ...]
    stopped: tuple[Violation, ...]
    why: tuple[tuple[str, str], ...] = ()
    records: tuple[r.Record, ...] = ()
    advice: tuple[str, ...] = ()
    allowed: frozenset[str] = frozenset()


NO_RELIEF = Relief(counted=(), stopped=())


def relieve(
    found: tuple[Violation, ...], case: Case, terms: Agreement, history: History, around: Surroundings
) -> Relief:
    """Say what counts. The order: a migration window, authorisations, protected senders, declared streams, advice."""
    rules, tenant = terms.registers, around.tenant
    if rules is None or not found:
        return Relief(counted=found, stopped=found)
    why: list[tuple[str, str]] = []
    noticed: tuple[r.Record, ...] = ()
    allowed: set[str] = set()
    if tenant is not None and (window := _migration(tenant, case.at)) is not None:
        # Old mail is brought in as it is; what harms whoever opens it is stopped all the same.
        return Relief(counted=(), stopped=_harmful(found, terms), why=(("register.migration", window.entry_id),))
    kept = found
    if tenant is not None:
        for violation in found:
            if (given := _authorisation(violation, case, tenant)) is not None:
                kept = tuple(v for v in kept if v is not violation)
                why.append(("register.authorisation", given.entry_id))
                allowed.update(violation.finding_codes)
        protected = next((x for x in in_force(tenant, r.SenderProtected, case.at) if _is_of(x, case)), None)
        if protected is not None and kept:
            return Relief(
                counted=(),
                stopped=_harmful(kept, terms),
                why=(*why, ("register.protected", protected.entry_id)),
                records=(_page(protected, case, rules),),
                allowed=frozenset(allowed),
            )
        if (stream := _stream(case, tenant)) is not None:
            noticed = (*_noticed(stream, case, rules, tenant), *_failed(stream, case, terms, rules, tenant, history))
            if _is_good(stream, case, tenant, noticed):
                kept = tuple(v for v in kept if v.category not in rules.streams)
                why.append(("register.stream", stream.entry_id))
    if case.facts.was_received_first and is_to_few(case.facts, rules):
        # Who passes it on has not made it: the mail may be stopped, and counts for nothing (STANDING 5.7-12).
        return Relief(
            counted=(),
            stopped=kept,
            why=(*why, ("register.received_first", "")),
            records=noticed,
            allowed=frozenset(allowed),
        )
    run = timedelta(hours=terms.incident.window_hours)
    counted, advised = _after_advice(kept, case, rules, history, run)
    if len(counted) < len(kept):
        why.append(("register.advice", ""))
    codes = tuple(x.code for x in advised)
    return Relief(
        counted=counted,
        stopped=kept,
        why=tuple(why),
        records=(*noticed, *advised),
        advice=codes,
        # A finding that also means something nobody has allowed still stops the mail.
        allowed=frozenset(allowed.difference(code for v in kept for code in v.finding_codes)),
    )


def is_to_few(facts: MailFacts, rules: RegistersSection) -> bool:
    """Say whether a mail goes to so few people, today too, that it may be passing something on."""
    is_few = facts.recipients <= rules.received_recipients
    return is_few and facts.counts.recipients_day <= rules.received_recipients_day


def advise(
    categories: Iterable[str], case: Case, terms: Agreement, history: History
) -> tuple[tuple[r.Record, ...], tuple[str, ...]]:
    """Say which of these categories, that so far only refuse the mail, have become breaches: a mail after enough
    refusals that followed advice.  CLAUSES TX-3.5.1.

    Returns:
        Records to append (advice given, advice ignored), and the categories that count from this mail on.
    """
    rules = terms.registers
    records: list[r.Record] = []
    ripe = []
    for category in categories:
        if rules is None or category not in rules.advised:
            continue
        account_id = history.account_id
        if _advised_at(history, category) is None:
            records.append(r.Advised(at=case.at, account_id=account_id, code=category))
            continue
        ignored = [x for x in history.of(r.AdviceIgnored) if x.code == category]
        if len(ignored) >= rules.advised[category]:
            ripe.append(category)
        else:
            records.append(
                r.AdviceIgnored(
                    at=case.at, account_id=account_id, code=category, transaction_id=case.transaction_id
                )
            )
    return tuple(records), tuple(ripe)


def in_force(tenant: History, kind: type[R], at: datetime) -> tuple[R, ...]:
    """Say the entries of one register that hold at an instant."""
    ended = {x.entry_id for x in tenant.of(r.EntryEnded) if x.at <= at}
    return tuple(x for x in tenant.of(kind) if x.entry_id not in ended and x.at <= at and _runs(x, at))


def _runs(entry: object, at: datetime) -> bool:
    since, until = getattr(entry, "since", at), getattr(entry, "until", None)
    return bool(since <= at and (until is None or at < until))


def _migration(tenant: History, at: datetime) -> r.MigrationOpened | None:
    return next(iter(in_force(tenant, r.MigrationOpened, at)), None)


def _harmful(found: tuple[Violation, ...], terms: Agreement) -> tuple[Violation, ...]:
    """Say what harms whoever opens it, and is stopped whoever sends it."""
    strict = {item.id for item in terms.category if item.zero_tolerance}
    return tuple(v for v in found if v.mode is Mode.A and v.category in strict)


def _authorisation(violation: Violation, case: Case, tenant: History) -> r.AuthorisationGiven | None:
    for given in in_force(tenant, r.AuthorisationGiven, case.at):
        if _is_of(given, case) and set(violation.ground.ids) <= set(given.clauses) and _is_in_scope(given, case):
            return given
    return None


def _is_in_scope(given: r.AuthorisationGiven, case: Case) -> bool:
    limit = given.max_recipients_day
    if limit is not None and case.facts.counts.recipients_day > limit:
        return False
    if case.direction is Direction.INTERNAL:
        return True
    domains = case.facts.recipient_domains
    return bool(domains) and set(domains) <= set(given.recipient_domains)


def _is_of(entry: r.AuthorisationGiven | r.SenderProtected, case: Case) -> bool:
    return entry.account_id in (None, case.principal.account_id)


def _page(protected: r.SenderProtected, case: Case, rules: RegistersSection) -> r.TaskOpened:
    """One page a day and sender: somebody looks, nobody is punished."""
    day = case.at.date().isoformat()
    return r.TaskOpened(
        at=case.at,
        task_id=derived_id("w", protected.entry_id, day),
        incident_id=derived_id("i", protected.entry_id, day),
        account_id=protected.account_id,
        what="protected sender: its mail looks like a breach",
        warranted="none",
        imposed="none",
        due_at=case.at + timedelta(hours=rules.protected_due_hours),
    )


# --- streams ----------------------------------------------------------------------------------------------------------


def _stream(case: Case, tenant: History) -> r.StreamDeclared | None:
    """Find the declared stream a mail belongs to."""
    for stream in in_force(tenant, r.StreamDeclared, case.at):
        if stream.account_id == case.principal.account_id and stream.key in case.facts.stream_keys:
            return stream
    return None


def _noticed(
    stream: r.StreamDeclared, case: Case, rules: RegistersSection, tenant: History
) -> tuple[r.StreamNoticed, ...]:
    """Put a stream on notice whose mail lacks the one-click header; once, however often it is declared anew."""
    same = _same(stream, tenant)
    before = (x for x in tenant.of(r.StreamNoticed) if x.condition == _HEADER)
    if case.facts.has_one_click or any(x.entry_id in same for x in before):
        return ()
    return (
        r.StreamNoticed(
            at=case.at,
            entry_id=stream.entry_id,
            tenant_id=stream.tenant_id,
            condition=_HEADER,
            repair_by=case.at + timedelta(days=rules.repair_days),
        ),
    )


def _failed(
    stream: r.StreamDeclared,
    case: Case,
    terms: Agreement,
    rules: RegistersSection,
    tenant: History,
    history: History,
) -> Iterator[r.StreamNoticed]:
    """Put a stream on notice that too many complain of, of which too much comes back, or that goes to people who have
    opted out; each once for a declaration: made anew, it is looked at anew."""
    known = {x.condition for x in tenant.of(r.StreamNoticed) if x.entry_id == stream.entry_id}
    delivered = case.facts.counts.recipients_month
    said = complained(history, case.at, delivered, terms, stream)
    back = bounced(history, case.at, delivered, terms, stream, rules.bounce_percent)
    noticed = r.StreamNoticed(
        at=case.at,
        entry_id=stream.entry_id,
        tenant_id=stream.tenant_id,
        condition=_OPT_OUTS,
        repair_by=case.at + timedelta(days=rules.repair_days),
    )
    if said.is_above and _COMPLAINTS not in known:
        yield replace(noticed, condition=_COMPLAINTS, delivered=said.delivered, complainants=said.complainants)
    if back.is_above and _BOUNCES not in known:
        yield replace(noticed, condition=_BOUNCES, delivered=back.tried, bounced=back.bounced)
    if _OPT_OUTS not in known and ignored(history, stream.at, case.at):
        yield noticed


def _is_good(stream: r.StreamDeclared, case: Case, tenant: History, noticed: tuple[r.Record, ...]) -> bool:
    """Say whether a mail of a stream counts as declared: no condition is past the time to mend it. The header a mail
    has is mended in it; other conditions are the stream's, and end with a declaration made anew."""
    same = _same(stream, tenant)
    past = [
        x
        for x in (*tenant.further, *noticed)
        if isinstance(x, r.StreamNoticed) and x.entry_id in same and case.at >= x.repair_by
    ]
    return all(
        case.facts.has_one_click if x.condition == _HEADER else x.entry_id != stream.entry_id for x in past
    )


def _same(stream: r.StreamDeclared, tenant: History) -> frozenset[str]:
    """Say the entries that declared the same run of mail of the account, those that have ended, too."""
    declared = (x for x in tenant.of(r.StreamDeclared) if (x.account_id, x.key) == (stream.account_id, stream.key))
    return frozenset(x.entry_id for x in declared)


# --- advice before the first strike -----------------------------------------------------------------------------------


def _after_advice(
    kept: tuple[Violation, ...], case: Case, rules: RegistersSection, history: History, run: timedelta
) -> tuple[tuple[Violation, ...], tuple[r.Advised, ...]]:
    """Leave out what is advice only: a sender's first undeclared run (CLAUSES TX tail-c)."""
    counted: list[Violation] = []
    records: list[r.Advised] = []
    for violation in kept:
        if violation.category not in rules.advised_runs:
            counted.append(violation)
            continue
        advised_at = _advised_at(history, violation.category)
        if advised_at is None:
            records.append(r.Advised(at=case.at, account_id=history.account_id, code=violation.category))
        elif case.at >= advised_at + run:
            counted.append(violation)
    return tuple(counted), tuple(records)


def _advised_at(history: History, code: str) -> datetime | None:
    return next((x.at for x in history.of(r.Advised) if x.code == code), None)
