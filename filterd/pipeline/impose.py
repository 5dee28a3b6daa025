"""A person imposes a rung on one account: warns, switches features off, suspends.  STANDING 5.3, 5.4, AL-7.1.

Only under a clause of the account's own agreement (HOUSE rule 8). On an incident's ground the sanction joins that
incident and answers its task; without one the act opens an incident that holds no violation and so never gives points.
The row of the confirmation says who and why; the account and its tenant get a statement of reasons. A person may skip
rungs and grace, with a reason; but where the agreement asks for a written notice first, nobody can: the sanction names
the notice it rests on. Ending an account's service takes two people (pipeline/terminations).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from filterd.agreement.standing import SENDING, standing_at
from filterd.agreement.terms import FEATURES, Agreement
from filterd.errors import PeerError, RefusedError, UsageError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.decision import NoticeDue
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.model.sanction import RECIPIENT, Feature, Rung, feature
from filterd.model.standing import History
from filterd.pipeline.grounds import GROUND, Given
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.relook import relook_task
from filterd.pipeline.written_notice import written_notice
from filterd.ports import LedgerTxn

# A year; what should last longer is another decision.
MAX_HOURS = 24 * 366
# The family of an incident that a person's act opened: no category has it, so no violation ever joins.
FAMILY = "person"
# What one person may impose.
RUNGS = (Rung.WARN, Rung.RESTRICT, Rung.SUSPEND)

_TEMPLATES = {Rung.WARN: "warning", Rung.RESTRICT: "restriction", Rung.SUSPEND: "suspension"}


# Says the version of an agreement that was in force at an instant.
TermsAt = Callable[[datetime], Agreement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person wants.

    Args:
        features: of a restriction; empty for any other rung.
        hours: None: a warning as long as the lightest strike counts, a suspension open-ended.
        case: an incident id or the case id people quote, None for none.
        notice: id of the written notice, or of the warning or case it told of; None for none.
        given: what the clauses ask for besides.
    """

    rung: Rung
    features: tuple[Feature, ...]
    hours: int | None
    clauses: tuple[str, ...]
    case: str | None
    notice: str | None
    by: str
    reason: str
    given: Given = field(default_factory=Given)


def read_rung(text: str | None) -> Rung:
    """Read a rung that one person may impose; nothing said is a restriction. Raises RefusedError."""
    if text == Rung.TERMINATE.word:
        raise RefusedError("ending an account's service takes two people: filterd proposal make account.terminate")
    found = next((rung for rung in RUNGS if rung.word == (text or Rung.RESTRICT.word)), None)
    if found is None:
        raise RefusedError(f"no rung {text!r}; one person may impose {', '.join(rung.word for rung in RUNGS)}")
    return found


def read_features(txn: LedgerTxn, texts: Sequence[str]) -> tuple[Feature, ...]:
    """Read `links`, `messages_per_day:50` or `recipient:someone@x.example`; the address is kept as a keyed hash only.

    Raises:
        RefusedError: a text is no feature that can be switched off by itself.
    """
    if not texts:
        raise RefusedError("say what is to be switched off: --feature")
    return tuple(dict.fromkeys(_read(txn, text) for text in texts))


def _read(txn: LedgerTxn, text: str) -> Feature:
    try:
        item = feature(text)
    except ValueError as err:
        raise RefusedError(str(err)) from err
    known = [name for name in FEATURES if name != "sending"]
    if item.name == "sending":
        raise RefusedError("all sending is a rung of its own, a suspension by a person: --rung suspend")
    if item.name not in known:
        raise RefusedError(f"no feature {item.name!r}; known: {', '.join(known)}")
    if item.name == RECIPIENT:
        try:
            path = parse_forward_path(f"<{item.value or ''}>".encode(), smtputf8=True)
        except PeerError as err:
            raise RefusedError(f"{RECIPIENT} needs an address, {RECIPIENT}:someone@example.com") from err
        return Feature(name=RECIPIENT, value=txn.pseudonym(path.address))
    if FEATURES[item.name] != (item.limit is not None):
        raise RefusedError(f"feature {item.name} {'needs' if FEATURES[item.name] else 'takes no'} number")
    return item


def find_clauses(terms: Agreement, text: str) -> tuple[str, ...]:
    """Say the clauses meant by a key of the agreement file, or by a number as the agreement prints it.

    Raises:
        RefusedError: the agreement that binds the account has none; no ground, no sanction.
    """
    if text in terms.clause:
        return (text,)
    # What asks for more than the clause is named by its key: no number cites it by the way (pipeline/grounds).
    found = tuple(key for key, c in terms.clause.items() if c.number == text and c.needs is None)
    if not found:
        raise RefusedError(f"agreement {terms.id} has no clause {text!r}; it has {', '.join(terms.clause)}")
    return found


def impose(
    txn: LedgerTxn, account: Account, terms: Agreement, wanted: Wanted, terms_at: TermsAt | None = None
) -> tuple[str, NoticeDue]:
    """Append the rows of a sanction; says its id and the notice to be promised.

    Args:
        terms: those in force. `terms_at` says the version in force at an act: what is imposed for one before a change
            holds by both, the milder where they differ (STANDING 5.7-7). None: there is but one.
    """
    _refuse_misfit(wanted)
    history = txn.history(account.account_id)
    between = _between(history, wanted.case, terms, terms_at)
    notice = _written(txn, account, between, wanted)
    case = wanted.case or (notice.incident_ids[0] if notice is not None else None)
    between = _between(history, case, terms, terms_at)
    _refuse_if_unfounded(between, wanted)
    ends_at = min((end for x in between if (end := _end(x, wanted, txn.now)) is not None), default=None)
    _refuse_if_in_force(history, terms, wanted, txn.now, ends_at)
    decision_id = derived_id("d", account.account_id, wanted.by, wanted.rung.word, txn.now.isoformat())
    incident_id = incident_for(txn, account, history, case, decision_id)
    imposed = r.SanctionImposed(
        at=txn.now,
        sanction_id=derived_id("s", decision_id, wanted.rung.word),
        incident_id=incident_id,
        decision_id=decision_id,
        account_id=account.account_id,
        rung=wanted.rung,
        step=step_of(terms, wanted.rung, is_open_ended=ends_at is None),
        features=SENDING if wanted.rung is Rung.SUSPEND else wanted.features,
        category="",
        clauses=wanted.clauses,
        starts_at=txn.now,
        ends_at=ends_at,
        lapses_at=None,
        step_down_features=(),
        is_automatic=False,
        by=wanted.by,
        warranted=wanted.rung,
        notice_id=notice.notice_id if notice is not None else None,
        statute=wanted.given.provision,
        has_words=bool(wanted.given.words),
        rests_on=wanted.given.rests_on,
    )
    confirmed = r.SanctionConfirmed(
        at=txn.now,
        sanction_id=imposed.sanction_id,
        incident_id=incident_id,
        by=wanted.by,
        reason=wanted.reason,
    )
    again = relook_task(imposed, terms, txn.now) if ends_at is None else None
    records: list[r.Record] = [imposed, confirmed, *([again] if again is not None else [])]
    for record in records:
        personal = {GROUND: wanted.given.words} if record is imposed and wanted.given.words else None
        txn.append(record, account_id=account.account_id, tenant_id=account.tenant_id, personal=personal)
    if wanted.rung is Rung.WARN and terms.incident.suspension_notice_hours is not None:
        _write_to_tenant(txn, account, terms, imposed)
    return imposed.sanction_id, NoticeDue(
        template=_TEMPLATES[wanted.rung],
        account_id=account.account_id,
        incident_id=incident_id,
        sanction_ids=(imposed.sanction_id,),
    )


def _between(
    history: History, case: str | None, terms: Agreement, terms_at: TermsAt | None
) -> tuple[Agreement, ...]:
    """Say the versions that a sanction has to hold by: that of the case's first act, and the one in force."""
    prefix = (case or "").split("_", 1)[-1]
    opened = next(
        (i.opened for i in history.incidents if prefix and i.opened.incident_id.split("_", 1)[-1].startswith(prefix)),
        None,
    )
    at_act = terms_at(opened.at) if opened is not None and terms_at is not None else terms
    return (terms,) if at_act.digest == terms.digest else (at_act, terms)


def _written(
    txn: LedgerTxn, account: Account, between: Sequence[Agreement], wanted: Wanted
) -> r.NoticeSent | None:
    """Find the written notice that a sanction rests on: where either version asks for one, and as long before."""
    found = [written_notice(txn, account, x, wanted.notice) for x in between] if wanted.rung > Rung.WARN else []
    return next((x for x in found if x is not None), None)


def _refuse_if_unfounded(between: Sequence[Agreement], wanted: Wanted) -> None:
    """No ground, no sanction: what was none at the act does not become one by a later version."""
    for terms in between:
        if missing := [key for key in wanted.clauses if key not in terms.clause]:
            raise RefusedError(
                f"version {terms.version} of agreement {terms.id}, in force at the act, has no clause {missing[0]!r}"
            )


def step_of(terms: Agreement, rung: Rung, *, is_open_ended: bool) -> int:
    """Say which step of the ladder a person's rung is like: the first of it, or the last where it has no end."""
    steps = [
        i
        for i, step in enumerate(terms.ladder)
        if step.as_rung is rung and (rung is not Rung.SUSPEND or (step.hours is None) is is_open_ended)
    ]
    return steps[0] if steps else 0


def _refuse_misfit(wanted: Wanted) -> None:
    if wanted.rung is Rung.RESTRICT and not wanted.features:
        raise RefusedError("say what is to be switched off: --feature")
    if wanted.rung is not Rung.RESTRICT and wanted.features:
        raise RefusedError(f"features are switched off by a restriction, not by rung {wanted.rung.word}")
    if wanted.rung is Rung.RESTRICT and wanted.hours is None:
        raise RefusedError("say for how long: --hours")
    if wanted.hours is not None and not 1 <= wanted.hours <= MAX_HOURS:
        raise RefusedError(f"a {_NOUN[wanted.rung]} lasts 1 to {MAX_HOURS} hours")


_NOUN = {Rung.WARN: "warning", Rung.RESTRICT: "restriction", Rung.SUSPEND: "suspension"}


def _end(terms: Agreement, wanted: Wanted, now: datetime) -> datetime | None:
    if wanted.hours is not None:
        return now + timedelta(hours=wanted.hours)
    # A warning lasts as long as a strike counts (STANDING 5.1); this one has none, so the lightest one's time.
    return now + terms.counts_for(1) if wanted.rung is Rung.WARN else None


def _refuse_if_in_force(
    history: History, terms: Agreement, wanted: Wanted, now: datetime, ends_at: datetime | None
) -> None:
    if wanted.rung is Rung.WARN:
        return
    for active in standing_at(history, terms, now).sanctions:
        covers = active.rung >= wanted.rung and set(wanted.features) <= set(active.features)
        outlasts = active.ends_at is None or (ends_at is not None and active.ends_at >= ends_at)
        if covers and outlasts:
            what = "all of this is off already" if wanted.features else "all sending is off as long already"
            raise RefusedError(f"{what}, by {active.sanction_id}")


def _write_to_tenant(txn: LedgerTxn, account: Account, terms: Agreement, imposed: r.SanctionImposed) -> None:
    """The written notice goes to the other party too, the customer: from when on a suspension may follow (AL-7.1)."""
    hours = timedelta(hours=terms.incident.suspension_notice_hours or 0)
    announce_event(
        txn,
        "breach_notice",
        account.tenant_id,
        {
            "clauses": imposed.clauses,
            "incident_id": imposed.incident_id,
            "account_id": account.account_id,
            "issued_at": txn.now,
            "suspension_from": txn.now + hours,
        },
    )


def incident_for(
    txn: LedgerTxn, account: Account, history: History, case: str | None, decision_id: str
) -> str:
    """Find the incident meant, or open one for the act itself."""
    if case is not None:
        prefix = case.split("_", 1)[-1]
        ids = [i.opened.incident_id for i in history.incidents if not i.is_annulled]
        found = [x for x in ids if x.split("_", 1)[-1].startswith(prefix)]
        if len(found) != 1 or not prefix:
            raise UsageError(f"{account.login} has no case {case}")
        return found[0]
    opened = r.IncidentOpened(
        at=txn.now,
        incident_id=derived_id("i", account.account_id, FAMILY, decision_id),
        account_id=account.account_id,
        tenant_id=account.tenant_id,
        family=FAMILY,
        evidence_key="",
        is_after_notice=False,
        is_first=False,
    )
    txn.append(opened, account_id=account.account_id, tenant_id=account.tenant_id)
    return opened.incident_id
