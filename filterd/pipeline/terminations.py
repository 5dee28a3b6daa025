"""An account's service ends for breach, and comes back: two people each.  STANDING 5.4 rows 4 and 8, 5.5; TX-4.3.1.

Proposed while the account is suspended, approved by another person, then the cooling-off, and only then in effect
(agreement/termination says when, from the records). Until then any moderator stops it alone. What it ends can come
back, by two people again, as long as nothing was purged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from filterd.agreement.orders import fallen
from filterd.agreement.proposal import ProposalFile
from filterd.agreement.standing import SENDING, half_points_at
from filterd.agreement.termination import Outlook, cooling_off, outlook
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.model.sanction import Rung
from filterd.model.standing import History, SanctionFile, Standing
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.grounds import given_for, terms_of_given
from filterd.pipeline.impose import find_clauses, incident_for, step_of
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Arguments
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.registration_files import mark_accounts
from filterd.ports import LedgerTxn

STATUTE = "statute"
MAX_STATUTE_CHARS = 200


def _prepare_termination(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    """Say on what ground; `clause` names one of the agreement, `statute` a law."""
    account, terms = _known(subject)
    section = terms.termination
    if section is None:
        raise RefusedError(f"agreement {terms.id} ends nobody's service")
    statute = named_statute(arguments)
    kind = STATUTE if statute else terms.ground_kind
    if kind not in section.grounds:
        raise RefusedError(f"agreement {terms.id} ends an account's service on {' or '.join(section.grounds)} alone")
    allowing = section.clauses or terms.sanction_ground
    clauses = () if statute else find_clauses(terms, arguments["clause"]) if arguments.get("clause") else allowing
    ids = {"tenant_id": account.tenant_id, "account_id": account.account_id}
    given = given_for(txn, terms, clauses, arguments, **ids)
    standing = desk.standing(txn, account)
    for earlier in _at_acts(desk, txn, subject, [s.incident_id for s in standing.strikes]):
        # What ended nobody's service at the act does not by a later version (STANDING 5.7-7).
        if earlier.termination is None or kind not in earlier.termination.grounds or set(clauses) - set(earlier.clause):
            raise RefusedError(
                f"version {earlier.version} of agreement {earlier.id}, in force at the acts, gives no ground for this"
            )
    if standing.rung is Rung.TERMINATE or coming(txn.history(account.account_id), terms, standing):
        raise RefusedError(f"the service of {account.account_id} ends already")
    if standing.rung is not Rung.SUSPEND:
        raise RefusedError(f"{account.account_id} is {standing.conduct.value}; only a suspended account is terminated")
    return {
        "ground": kind,
        "clauses": list(clauses),
        "statute": statute or given.provision,
        **{k: v for k, v in terms_of_given(given).items() if k != "provision"},
        "incident_ids": sorted(s.incident_id for s in standing.strikes),
    }


def _termination_rests_on(
    desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]
) -> Mapping[str, Any]:
    account, _ = _known(subject)
    standing = desk.standing(txn, account)
    return {
        "agreement": desk.terms(txn, account).digest,
        "standing": standing.conduct.value,
        "half_points": standing.half_points,
        "strikes": sorted(s.strike_id for s in standing.strikes),
        "suspensions": sorted(s.sanction_id for s in standing.sanctions if s.rung >= Rung.SUSPEND),
    }


def _terminate(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    """Write the termination that begins after the cooling-off, and tell."""
    account, terms = _known(decided.subject)
    proposal = decided.proposal
    decision_id = derived_id("d", proposal.proposal_id)
    earlier = _at_acts(desk, txn, decided.subject, proposal.incident_ids)
    # Of two versions the longer cooling-off.
    starts_at = max(cooling_off(x, txn.now) for x in (terms, *earlier) if x is terms or x.lifecycle is not None)
    incident_id = incident_for(txn, account, txn.history(account.account_id), None, decision_id)
    imposed = r.SanctionImposed(
        at=txn.now,
        sanction_id=termination_of(proposal.proposal_id),
        incident_id=incident_id,
        decision_id=decision_id,
        account_id=account.account_id,
        rung=Rung.TERMINATE,
        step=max(len(terms.ladder) - 1, step_of(terms, Rung.SUSPEND, is_open_ended=True)),
        features=SENDING,
        category="",
        clauses=tuple(map(str, decided.terms["clauses"])),
        starts_at=starts_at,
        ends_at=None,
        lapses_at=None,
        step_down_features=(),
        is_automatic=False,
        by=proposal.by,
        warranted=Rung.TERMINATE,
        statute=decided.terms["statute"],
        # The words are in the proposal that two people stand behind.
        has_words=bool(decided.terms.get("ground_words")),
        rests_on=decided.terms.get("claim"),
    )
    confirmed = r.SanctionConfirmed(
        at=txn.now,
        sanction_id=imposed.sanction_id,
        incident_id=incident_id,
        by=decided.approved.by,
        reason=proposal.reason,
    )
    desk.append(txn, account, imposed)
    desk.append(txn, account, confirmed)
    mark_accounts(txn, decided.subject.tenant, terms, by=proposal.by)
    announce_event(
        txn,
        "termination_proposed",
        account.account_id,
        {
            "incident_id": incident_id,
            "proposal_id": proposal.proposal_id,
            "proposed_at": proposal.at,
            "earliest_at": starts_at,
            "is_by_order": False,
        },
    )
    return {"sanction_id": imposed.sanction_id, "earliest_at": iso(starts_at), **desk.result(txn, account)}


def _stop_termination(
    desk: Desk, txn: LedgerTxn, file: ProposalFile, subject: Subject, ended: r.ProposalEnded
) -> None:
    """A veto, or a second person's no: what was to come does not, and whoever was told of it is told."""
    account, _ = _known(subject)
    sanction_id = termination_of(file.proposed.proposal_id)
    history = txn.history(account.account_id)
    found = next((s for s in history.sanctions if s.imposed.sanction_id == sanction_id), None)
    if found is None:
        return
    if desk.standing(txn, account).rung is Rung.TERMINATE:
        raise RefusedError("this termination is in effect; reinstating takes two people")
    if found.lifted_at is not None or found.annulled_at is not None:
        raise RefusedError("this termination was stopped already")
    lifted = r.SanctionLifted(
        at=txn.now,
        sanction_id=sanction_id,
        incident_id=found.imposed.incident_id,
        by=ended.by,
        reason=ended.reason,
    )
    desk.append(txn, account, lifted)
    facts: Facts = {
        "incident_id": found.imposed.incident_id,
        "proposal_id": file.proposed.proposal_id,
        "at": txn.now,
        "because": ended.because,
    }
    announce_event(txn, "termination_withdrawn", account.account_id, facts)


def _prepare_reinstatement(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    account, _ = _known(subject)
    ended = [s for s in desk.standing(txn, account).sanctions if s.rung is Rung.TERMINATE]
    if not ended:
        raise RefusedError(f"the service of {account.account_id} has not ended")
    return {"sanction_id": ended[0].sanction_id}


def _reinstatement_rests_on(
    desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]
) -> Mapping[str, Any]:
    account, _ = _known(subject)
    return {
        "standing": desk.standing(txn, account).conduct.value,
        "is_purged": is_purged(txn, account.account_id),
    }


def _reinstate(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    account, _ = _known(decided.subject)
    sanction_id = str(decided.terms["sanction_id"])
    back = r.AccountReinstated(
        at=txn.now,
        account_id=account.account_id,
        sanction_id=sanction_id,
        proposal_id=decided.proposal.proposal_id,
        by=decided.approved.by,
    )
    desk.append(txn, account, back)
    is_empty = is_purged(txn, account.account_id)
    facts: Facts = {"at": txn.now, "sanction_id": sanction_id, "is_empty": is_empty}
    announce_event(txn, "reinstated", account.account_id, facts)
    return {"is_empty": is_empty, **desk.result(txn, account)}


TERMINATE = Act(
    name="account.terminate",
    about="account",
    prepare=_prepare_termination,
    rests_on=_termination_rests_on,
    carry_out=_terminate,
    on_ended=_stop_termination,
)
REINSTATE = Act(
    name="account.reinstate",
    about="account",
    prepare=_prepare_reinstatement,
    rests_on=_reinstatement_rests_on,
    carry_out=_reinstate,
)


def _at_acts(
    desk: Desk, txn: LedgerTxn, subject: Subject, incident_ids: Iterable[str]
) -> tuple[Agreement, ...]:
    """Say the other versions of the agreement that were in force when these incidents began."""
    account, terms = _known(subject)
    wanted = set(incident_ids)
    opened = [
        i.opened.at for i in txn.history(account.account_id).incidents if i.opened.incident_id in wanted
    ]
    found = {x.digest: x for at in opened if (x := desk.rules.at_act(terms, subject.tenant, at)) is not terms}
    return tuple(x for digest, x in found.items() if digest != terms.digest)


def named_statute(arguments: Arguments) -> str:
    """Read the law that a termination names as its ground; "" for none. Raises RefusedError for what is no name."""
    statute = str(arguments.get("statute") or "").strip()
    if not statute.isprintable() or len(statute) > MAX_STATUTE_CHARS:
        raise RefusedError(f"a statute is named in at most {MAX_STATUTE_CHARS} printable characters")
    return statute


def termination_of(proposal_id: str) -> str:
    """Say the sanction that a proposal makes once it is approved."""
    return derived_id("s", derived_id("d", proposal_id), Rung.TERMINATE.word)


def is_purged(txn: LedgerTxn, account_id: str) -> bool:
    """Say whether what was kept of an account is gone: then it comes back empty."""
    return any(isinstance(x, r.SubjectPurged) and x.subject_id == account_id for x in txn.records(account_id))


def coming(history: History, terms: Agreement, standing: Standing) -> tuple[tuple[SanctionFile, Outlook], ...]:
    """Say the terminations that were decided and have not taken effect, with what holds them up; what fell is none."""
    active = {s.sanction_id for s in standing.sanctions}
    active |= {file.imposed.sanction_id for file in fallen(history, terms, standing.at)}
    return tuple(
        (file, outlook(history, file, terms, standing.at, half_points_at))
        for file in history.sanctions
        if file.imposed.rung is Rung.TERMINATE
        and file.imposed.sanction_id not in active
        and file.lifted_at is None
        and file.annulled_at is None
        and all(x.sanction_id != file.imposed.sanction_id for x in history.of(r.AccountReinstated))
    )


def coming_row(file: SanctionFile, seen: Outlook) -> dict[str, Any]:
    """Say one of them in JSON."""
    return {
        "sanction_id": file.imposed.sanction_id,
        "incident_id": file.imposed.incident_id,
        "decided_at": iso(file.imposed.at),
        "earliest_at": iso(file.imposed.starts_at),
        "begins_at": iso(seen.begins_at),
        "held_up_by": list(seen.held_up_by),
        "channels": list(seen.channels),
    }


def _known(subject: Subject) -> tuple[Account, Agreement]:
    if subject.account is None or subject.terms is None:
        raise UsageError(f"{subject.subject_id} is no account")
    return subject.account, subject.terms
