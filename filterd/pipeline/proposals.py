"""Acts that take two people: proposed by one, carried out when another has approved just that.  STANDING 5.5, 5.7-18.

What an act is, what it rests on and what carrying it out does stands in a table of `Act`s; a line adds one. A proposal
is written into the history of its subject with a digest of all of it. Approving names the digest, looks again at what
the proposal rests on, and carries it out in the same transaction; where that has changed it fails with the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from filterd.agreement.proposal import (
    RESTS_ON,
    ProposalFile,
    canonical,
    differences,
    digest_of,
    proposals,
    second,
    staffing_of,
)
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import random_id
from filterd.model.principal import Account, Tenant
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.roles import deciders, is_tenants_side, permitted, reaches, refuse_unless_reached
from filterd.ports import LedgerTxn

# What the ids of proposals begin with (model.ids).
_PROPOSAL = "q"
# Who ended a proposal whose act was carried out, or that nobody approved in time.
BY_CLOCK = "clock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a proposal is about: an account with its tenant, a tenant, or neither for the site."""

    subject_id: str
    account: Account | None
    tenant: Tenant | None
    terms: Agreement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A proposal that two people stand behind, to be carried out now."""

    proposal: r.Proposed
    approved: r.Approved
    subject: Subject
    terms: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act that takes two people.

    Args:
        name: `account.terminate`, for example.
        about: "account", "tenant" or "site".
        prepare: says the terms of a proposal from what was asked for. Raises RefusedError for what cannot be proposed.
        rests_on: says what has to be as it is until it is approved: codes, ids and whole numbers by name.
        carry_out: writes the rows; says what to answer.
        can_be_alone: where there is one person, their second look a day later will do (STANDING 5.5, solo).
        is_secret: the tenant's side does not learn that it was proposed.
        recuse: raises RefusedError for somebody too near to what its terms name; asked of who proposes and approves.
    """

    name: str
    about: str
    prepare: Callable[[Desk, LedgerTxn, Subject, Arguments], Mapping[str, Any]]
    rests_on: Callable[[Desk, LedgerTxn, Subject, Mapping[str, Any]], Mapping[str, Any]]
    carry_out: Callable[[Desk, LedgerTxn, Decided], Mapping[str, Any]]
    can_be_alone: bool = True
    is_secret: bool = False
    recuse: Callable[[Desk, LedgerTxn, Actor, Mapping[str, Any]], None] | None = None
    on_proposed: Callable[[Desk, LedgerTxn, ProposalFile, Subject], None] | None = None
    on_ended: Callable[[Desk, LedgerTxn, ProposalFile, Subject, r.ProposalEnded], None] | None = None


class Acts:
    """The table of acts, by name. Raises UsageError where two bear the same."""

    def __init__(self, *acts: Act):
        self._acts: dict[str, Act] = {}
        for act in acts:
            if act.name in self._acts:
                raise UsageError(f"two acts are called {act.name}")
            self._acts[act.name] = act

    def find(self, name: str) -> Act:
        """Say the act of that name. Raises RefusedError when there is none."""
        if name not in self._acts:
            raise RefusedError(f"no act {name!r}; known: {', '.join(sorted(self._acts))}")
        return self._acts[name]

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._acts))


class ProposalVerbs:
    """The verbs about proposals. One instance a ledger process."""

    def __init__(self, desk: Desk, acts: Acts):
        self._desk, self._acts = desk, acts

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "proposal.list": self.proposal_list,
            "proposal.show": self.proposal_show,
            "proposal.make": self.proposal_make,
            "proposal.approve": self.proposal_approve,
            "proposal.withdraw": self.proposal_withdraw,
            "proposal.refuse": self.proposal_refuse,
            "proposal.veto": self.proposal_veto,
            # The same act, by the name of the queue it is found in.
            "review.approve": self.proposal_approve,
        }

    # --- looking ------------------------------------------------------------------------------------------------------

    def proposal_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the proposals that wait for a second person, or `all` of them, the first to expire first."""
        actor = permitted(txn, arguments, "look") if arguments.get("token") else None
        rows = [
            self.shown(txn, file)
            for subject_id, tenant in self._subjects(txn)
            for file in proposals(txn.records(subject_id))
            if (arguments.get("all") or file.state(txn.now) == "open")
            and (actor is None or self._sees(txn, actor, file, tenant))
        ]
        return sorted(rows, key=lambda row: str(row["expires_at"]))

    def proposal_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say one proposal with what has changed since it was made: what a second person reads."""
        file, subject = self._find(txn, arguments)
        if arguments.get("token"):
            actor = permitted(txn, arguments, "look")
            if not self._sees(txn, actor, file, subject.tenant):
                raise UsageError(f"no proposal {arguments['proposal']}")
        return self.shown(txn, file) | {"changed": list(self._changed(txn, file, subject))}

    def shown(self, txn: LedgerTxn, file: ProposalFile) -> dict[str, Any]:
        """Say a proposal in JSON."""
        proposed = file.proposed
        return {
            "proposal_id": proposed.proposal_id,
            "act": proposed.act,
            "subject_id": proposed.subject_id,
            "terms": file.terms,
            "digest": proposed.digest,
            "by": proposed.by,
            "at": iso(proposed.at),
            "reason": proposed.reason,
            "incident_ids": list(proposed.incident_ids),
            "expires_at": iso(proposed.expires_at),
            "state": file.state(txn.now),
            "approved_by": file.approved.by if file.approved is not None else None,
            "is_self_review": file.approved is not None and file.approved.is_self_review,
        }

    # --- acting -------------------------------------------------------------------------------------------------------

    def proposal_make(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Propose `act` about `subject` with a `reason`; what else it takes, the act says."""
        actor = permitted(txn, arguments, "proposal.make")
        act = self._acts.find(str(arguments.get("act") or ""))
        subject = self._subject(txn, act, str(arguments.get("subject") or ""))
        self._refuse_unless_reached(txn, actor, "proposal.make", subject)
        file = self.propose(txn, act, subject, arguments, by=actor.name)
        if act.recuse is not None:
            act.recuse(self._desk, txn, actor, file.terms)
        return self.shown(txn, file)

    def propose(self, txn: LedgerTxn, act: Act, subject: Subject, arguments: Arguments, *, by: str) -> ProposalFile:
        """Write a proposal down, with what it rests on. One open proposal for an act and its subject."""
        waiting = [
            x.proposed.proposal_id
            for x in proposals(txn.records(subject.subject_id))
            if x.proposed.act == act.name and x.state(txn.now) == "open"
        ]
        if waiting and act.about != "site":
            raise RefusedError(f"{waiting[0]} proposes that already; withdraw it to propose something else")
        asked = dict(act.prepare(self._desk, txn, subject, arguments))
        terms = canonical(asked | {RESTS_ON: dict(act.rests_on(self._desk, txn, subject, asked))})
        incident_ids = tuple(map(str, asked.get("incident_ids", ())))
        reason = reason_in(arguments)
        proposed = r.Proposed(
            at=txn.now,
            proposal_id=random_id(_PROPOSAL, txn.now),
            act=act.name,
            subject_id=subject.subject_id,
            terms=terms,
            digest=digest_of(act.name, subject.subject_id, terms, incident_ids, reason),
            by=by,
            reason=reason,
            expires_at=txn.now + timedelta(hours=self._desk.rules.staffing.approval_hours),
            incident_ids=incident_ids,
        )
        self._append(txn, subject, proposed)
        file = ProposalFile(proposed=proposed)
        if act.on_proposed is not None:
            act.on_proposed(self._desk, txn, file, subject)
        return file

    def proposal_approve(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Approve the proposal whose `digest` was read, and have it carried out."""
        actor = permitted(txn, arguments, "proposal.approve")
        file, subject = self._find(txn, arguments)
        self._refuse_unless_reached(txn, actor, "proposal.approve", subject)
        act, proposed = self._acts.find(file.proposed.act), file.proposed
        if act.recuse is not None:
            act.recuse(self._desk, txn, actor, file.terms)
        rules = self._desk.rules.staffing
        may = second(
            file,
            actor.name,
            txn.now,
            rules,
            staffing_of(rules, len(deciders(txn))),
            said_digest=str(arguments.get("digest") or ""),
            can_be_alone=act.can_be_alone,
        )
        if may.refusal is not None:
            raise RefusedError(may.refusal)
        if changed := self._changed(txn, file, subject):
            raise RefusedError(
                "what this proposal rests on has changed since; propose again: " + "; ".join(changed)
            )
        approved = r.Approved(
            at=txn.now,
            proposal_id=proposed.proposal_id,
            digest=proposed.digest,
            by=actor.name,
            is_self_review=may.is_self_review,
        )
        self._append(txn, subject, approved)
        decided = Decided(proposal=proposed, approved=approved, subject=subject, terms=file.terms)
        done = act.carry_out(self._desk, txn, decided)
        self._end(txn, subject, proposed, "carried_out", actor.name, "approved")
        return {
            "proposal_id": proposed.proposal_id,
            "act": proposed.act,
            "by": proposed.by,
            "approver": actor.name,
            "is_self_review": may.is_self_review,
            **done,
        }

    def proposal_withdraw(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Take one's own proposal back."""
        actor = permitted(txn, arguments, "proposal.withdraw")
        file, subject = self._find(txn, arguments)
        if actor.name != file.proposed.by:
            raise RefusedError(f"{file.proposed.by} has proposed it; refuse or veto it instead")
        return self._end_open(txn, file, subject, "withdrawn", actor, arguments)

    def proposal_refuse(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say no as the second person."""
        actor = permitted(txn, arguments, "proposal.refuse")
        file, subject = self._find(txn, arguments)
        self._refuse_unless_reached(txn, actor, "proposal.refuse", subject)
        return self._end_open(txn, file, subject, "refused", actor, arguments)

    def proposal_veto(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Stop it, alone: while it is open, and while what it decided has not taken effect yet."""
        actor = permitted(txn, arguments, "proposal.veto")
        file, subject = self._find(txn, arguments)
        self._refuse_unless_reached(txn, actor, "proposal.veto", subject)
        if file.state(txn.now) == "open":
            return self._end_open(txn, file, subject, "vetoed", actor, arguments)
        act = self._acts.find(file.proposed.act)
        if file.state(txn.now) != "carried_out" or act.on_ended is None:
            raise RefusedError(f"this proposal is over: {file.state(txn.now).replace('_', ' ')}")
        ended = self._end(txn, subject, file.proposed, "vetoed", actor.name, reason_in(arguments))
        act.on_ended(self._desk, txn, file, subject, ended)
        return self.shown(txn, self._find(txn, arguments)[0])

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _sees(self, txn: LedgerTxn, actor: Actor, file: ProposalFile, tenant: Tenant | None) -> bool:
        party = self._desk.rules.terms_for(tenant, txn.now).enforcing_party
        is_hidden = self._acts.find(file.proposed.act).is_secret and is_tenants_side(actor, party)
        return reaches(txn, actor, tenant) and not is_hidden

    def _end_open(
        self, txn: LedgerTxn, file: ProposalFile, subject: Subject, because: str, actor: Actor, arguments: Arguments
    ) -> Any:
        if (state := file.state(txn.now)) != "open":
            raise RefusedError(f"this proposal is over: {state.replace('_', ' ')}")
        ended = self._end(txn, subject, file.proposed, because, actor.name, reason_in(arguments))
        act = self._acts.find(file.proposed.act)
        if act.on_ended is not None:
            act.on_ended(self._desk, txn, file, subject, ended)
        return self.shown(txn, self._find(txn, arguments)[0])

    def _end(
        self, txn: LedgerTxn, subject: Subject, proposed: r.Proposed, because: str, by: str, reason: str
    ) -> r.ProposalEnded:
        ended = r.ProposalEnded(
            at=txn.now, proposal_id=proposed.proposal_id, because=because, by=by, reason=reason
        )
        self._append(txn, subject, ended)
        return ended

    def _changed(self, txn: LedgerTxn, file: ProposalFile, subject: Subject) -> tuple[str, ...]:
        if file.state(txn.now) != "open":
            return ()
        act = self._acts.find(file.proposed.act)
        before = file.terms[RESTS_ON]
        return differences(before, dict(act.rests_on(self._desk, txn, subject, file.terms)))

    def _find(self, txn: LedgerTxn, arguments: Arguments) -> tuple[ProposalFile, Subject]:
        proposal_id = str(arguments.get("proposal") or "")
        owner = txn.account_of(proposal_id)
        files = proposals(txn.records(owner)) if owner is not None else ()
        file = next((x for x in files if x.proposed.proposal_id == proposal_id), None)
        if file is None:
            raise UsageError(f"no proposal {proposal_id}")
        return file, self._subject(txn, self._acts.find(file.proposed.act), file.proposed.subject_id)

    def _subject(self, txn: LedgerTxn, act: Act, said: str) -> Subject:
        """Find what an act is about. Raises UsageError."""
        if act.about == "site":
            return Subject(subject_id=SITE, account=None, tenant=None, terms=None)
        if act.about == "tenant":
            tenant = txn.tenant(said) or next((t for t in txn.tenants() if said in (t.name, *t.domains)), None)
            if tenant is None:
                raise UsageError(f"no tenant {said}")
            terms = self._desk.rules.terms_for(tenant, txn.now)
            return Subject(subject_id=tenant.tenant_id, account=None, tenant=tenant, terms=terms)
        account = self._desk.account(txn, said)
        return Subject(
            subject_id=account.account_id,
            account=account,
            tenant=txn.tenant(account.tenant_id),
            terms=self._desk.terms(txn, account),
        )

    def _refuse_unless_reached(self, txn: LedgerTxn, actor: Actor, verb: str, subject: Subject) -> None:
        party = subject.terms.enforcing_party if subject.terms is not None else ""
        refuse_unless_reached(txn, actor, verb, subject.tenant, subject.account, enforcing_party=party)

    def _subjects(self, txn: LedgerTxn) -> Iterable[tuple[str, Tenant | None]]:
        """Say everybody a proposal was ever made about."""
        for subject_id in txn.bearing(_PROPOSAL):
            account = txn.account(subject_id)
            yield subject_id, txn.tenant(account.tenant_id if account is not None else subject_id)

    def _append(self, txn: LedgerTxn, subject: Subject, record: r.Record) -> None:
        txn.append(
            record,
            account_id=subject.account.account_id if subject.account is not None else None,
            tenant_id=subject.tenant.tenant_id if subject.tenant is not None else None,
        )
