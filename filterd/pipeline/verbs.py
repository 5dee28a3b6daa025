"""What the ledger process does for the mail path: plain functions of one open transaction.  HOUSE §4 step 6, rule 5.

No await, no clock but the transaction's, nothing outside the store. Each is safe to run twice with the same request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from filterd.agreement.adopted import as_adopted
from filterd.agreement.announced import older_told
from filterd.agreement.standing import standing_at
from filterd.agreement.supplement import effective_terms, pinned_terms, terms_at_decision
from filterd.agreement.tenancy import is_about_tenant
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import decide_between, in_force
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.decision import Case, Decision, NoticeDue
from filterd.model.entry import SITE
from filterd.model.evidence import EXCERPT_BYTES, Kept, Portion, strongest
from filterd.model.held import InboundHold
from filterd.model.ids import derived_id, random_id
from filterd.model.principal import Account, Tenant
from filterd.model.sanction import Preset, Rung
from filterd.model.staffing import STAFFING, StaffingRules
from filterd.model.standing import History, Surroundings
from filterd.pipeline.advice import give_advice
from filterd.pipeline.enterprise import is_administrator, note_appeal, with_enterprise, write_tenant_rows
from filterd.pipeline.held import hold_inbound, settle
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.protecting import follow_hold, object_to_holds, opening_of, young_since
from filterd.pipeline.registration import Screening
from filterd.pipeline.tenant_objections import file_step
from filterd.pipeline.tenant_objections import in_force as steps_in_force
from filterd.ports import AccountRef, LedgerTxn

# A strike can be contested as long as it counts; its evidence lives 30 days longer (STANDING 5.6).
EVIDENCE_AFTER_EXPIRY = timedelta(days=30)

# Notices of one incident are merged within their kind: an acknowledgement never waits for a warning.
_KIND = {"objection_received": "objection", "annulled": "annulled"}

# So many tenants are remembered with when they came.
_OPENINGS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRules:
    """What the ledger side needs of the configuration.

    Args:
        terms: by agreement id. `by_digest` holds these and the ones of the last reload, so that a decision begun under
            the old text ends under it.
        auto_create_per_day: how many accounts first mail may create in 24 hours; 0 switches it off.
        evidence_at_most: the operator's ceiling over what categories ask to be kept of a mail.
        excerpt_bytes: how much an excerpt has of each place that a finding points to.
        staffing: how many people there are, and how long acts that take two of them wait.
        effectors: which there are outside (pipeline/effects).
        holds_outbound: mail of accounts may be held; False: nobody is there to look, so it is refused.
        is_clock_settable: people set the clock, for trying things.
        has_pager: whoever is on call can be called.
        hotline: where help is found, by language, in the operator's own words.
    """

    terms: Mapping[str, Agreement]
    by_digest: Mapping[str, Agreement]
    preset: Preset
    default_agreement: str
    auto_create_per_day: int
    notice_merge: timedelta
    evidence_at_most: Kept = Kept.FULL
    excerpt_bytes: int = EXCERPT_BYTES
    staffing: StaffingRules = STAFFING
    effectors: frozenset[str] = frozenset()
    holds_outbound: bool = True
    is_clock_settable: bool = False
    has_pager: bool = False
    hotline: Mapping[str, str] = field(default_factory=dict)

    def terms_for(self, tenant: Tenant | None, at: datetime) -> Agreement:
        """Say the terms in force for a tenant, its signed supplement heeded; the default ones for nobody's."""
        if tenant is None:
            return in_force(self.terms[self.default_agreement], at)
        return effective_terms(self.terms, tenant.agreement, tenant.supplement, at)

    def terms_of_incident(
        self, records: Iterable[r.Record], incident_id: str, tenant: Tenant | None, at: datetime
    ) -> Agreement:
        """Say the terms an incident was decided under, where they are still at hand; else those in force."""
        digests: list[str] = []
        clauses: list[str] = []
        for record in records:
            if isinstance(record, r.ViolationRecorded) and record.incident_id == incident_id:
                digests.append(record.policy_digest)
            if isinstance(record, r.SanctionImposed) and record.incident_id == incident_id:
                clauses += record.clauses
        if digests and digests[-1] in self.by_digest:
            return self.by_digest[digests[-1]]
        return self.terms_with(clauses, self.terms_for(tenant, at))

    def terms_with(self, clauses: Collection[str], terms: Agreement) -> Agreement:
        """Say `terms`; where they lack a clause that a case rests on, as after a supplement was withdrawn, others."""
        known = (terms, *self.terms.values())
        return next((item for item in known if all(key in item.clause for key in clauses)), terms)

    def at_act(self, terms: Agreement, tenant: Tenant | None, at: datetime) -> Agreement:
        """Say the version of `terms` that was in force at an act: what a person decides about it now holds by both
        (STANDING 5.7-7). The same ones where nothing has changed, or where that version is not at hand any more."""
        return terms_at_decision(terms, self.terms, tenant, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountQuery:
    login: str
    may_create: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    account_id: str
    transaction_id: str
    tenant_id: str | None = None


class MailVerbs:
    """The verbs workers use. One instance a ledger process."""

    def __init__(self, rules: DeskRules):
        self._rules = rules
        # When a tenant was opened, and when the record began.
        self._openings: dict[str, tuple[datetime | None, datetime | None]] = {}

    def account_for(self, txn: LedgerTxn, query: AccountQuery) -> AccountRef | None:
        """Find the account of a login, or create it on its first authenticated mail; None when there is no room."""
        found = txn.find_account(query.login)
        if found is not None or not query.may_create:
            return found
        since = txn.now - timedelta(days=1)
        if txn.auto_created_since(since) >= self._rules.auto_create_per_day:
            return None
        domain = query.login.rpartition("@")[2] if "@" in query.login else ""
        tenant = txn.tenant_of_domain(domain) if domain else None
        if tenant is None:
            tenant = Tenant(
                tenant_id=random_id("n", txn.now),
                name=domain or query.login,
                agreement=self._rules.default_agreement,
                domains=(domain,) if domain else (),
            )
            txn.put_tenant(tenant)
            txn.append(
                r.TenantOpened(
                    at=txn.now,
                    tenant_id=tenant.tenant_id,
                    agreement=tenant.agreement,
                    source="first_mail",
                    domains=tenant.domains,
                ),
                account_id=None,
                tenant_id=tenant.tenant_id,
            )
            Screening(txn, self._rules).screen(tenant)
        account = Account(account_id=random_id("a", txn.now), tenant_id=tenant.tenant_id, login=query.login)
        txn.put_account(account)
        txn.append(
            r.AccountOpened(at=txn.now, account_id=account.account_id, tenant_id=tenant.tenant_id, source="first_mail"),
            account_id=account.account_id,
            tenant_id=tenant.tenant_id,
            personal={"login": query.login},
        )
        return txn.find_account(query.login)

    def decide(self, txn: LedgerTxn, case: Case) -> Decision:
        """Fold, decide and append. Rows, deliveries counted and notices stand or fall together."""
        account_id = case.principal.account_id
        if account_id is None:
            raise UsageError("a decision in the ledger needs an account")
        pinned = self._rules.by_digest.get(case.policy_digest)
        if pinned is None:
            raise UsageError(f"the ledger does not hold the agreement {case.policy_digest[:12]}; reload it")
        tenant = txn.tenant(case.principal.tenant_id or "") if pinned.supplements is not None else None
        site = txn.history(SITE)
        at_act = as_adopted(pinned_terms(pinned, self._rules.terms, tenant, case.at), site, case.at)
        at_decision = as_adopted(terms_at_decision(at_act, self._rules.terms, tenant, txn.now), site, case.at)
        told = self._told(txn, case, site, at_act)
        if told is not None:
            at_act, at_decision = (at_act, told) if at_decision.digest == at_act.digest else (told, at_decision)
        new = txn.new_deliveries(account_id, None, case.delivery_keys)
        around = surroundings(txn, account_id, case.principal.tenant_id)
        around = with_enterprise(txn, around, account_id, case.principal.tenant_id)
        if case.facts.counts.client_is_original:
            opened_at = self._tenant_opened_at(txn, case.principal.tenant_id, at_act)
            around = replace(around, tenant_opened_at=opened_at)
        history = txn.history(account_id)
        decision = decide_between(case, at_act, at_decision, self._rules.preset, history, new, around)
        terms = at_decision if decision.policy_digest == at_decision.digest else at_act
        if not decision.records:
            return settle(txn, case, decision, terms, is_allowed=self._rules.holds_outbound)
        digest, was_kept = None, None
        if any(isinstance(x, r.ViolationRecorded) for x in decision.records):
            keep = _counts_until(history, decision, case.at)
            portion = portion_of(case, decision, terms, self._rules)
            # And as long as what it led to can be contested, counted from a notice that may come late.
            is_long = any(isinstance(x, r.SanctionImposed) and x.rung > Rung.WARN for x in decision.records)
            for lifecycle in (at_act.lifecycle, at_decision.lifecycle) if is_long else ():
                # By either version: the later end of both counts.
                if lifecycle is not None:
                    keep = max(keep, case.at + timedelta(days=lifecycle.appeal_days))
            digest = txn.promote_evidence(case.transaction_id, account_id, keep + EVIDENCE_AFTER_EXPIRY, portion)
            _keep_longer(txn, history, decision, account_id, keep + EVIDENCE_AFTER_EXPIRY)
            was_kept = portion.kept.word if digest is not None or portion.kept is Kept.NONE else None
        for record in decision.records:
            if is_about_tenant(record):
                continue
            if isinstance(record, r.ViolationRecorded):
                record = replace(record, evidence_digest=digest, evidence_kept=was_kept)
            txn.append(record, account_id=account_id, tenant_id=case.principal.tenant_id)
            if isinstance(record, r.HoldPlaced):
                follow_hold(txn, record)
        if case.principal.tenant_id is not None:
            about_tenant = [x for x in decision.records if is_about_tenant(x)]
            write_tenant_rows(txn, about_tenant, case.principal.tenant_id, terms)
        txn.mark_deliveries(account_id, decision.incident_id or decision.decision_id, new, case.at)
        give_advice(txn, decision, account_id, case.at)
        for notice in decision.notices:
            self.announce(txn, notice, case.principal.tenant_id)
        return settle(txn, case, decision, terms, is_allowed=self._rules.holds_outbound)

    def hold_inbound(self, txn: LedgerTxn, given: InboundHold) -> str | None:
        """Hold a stranger's mail for our accounts; say the first item's id, None when it cannot be held for all."""
        terms_of = {}
        for account_id in given.accounts:
            account = txn.account(account_id)
            if account is not None:
                terms_of[account_id] = self._rules.terms_for(txn.tenant(account.tenant_id), txn.now)
        return hold_inbound(txn, given, terms_of)

    def _told(self, txn: LedgerTxn, case: Case, site: History, at_act: Agreement) -> Agreement | None:
        """Say the version that a tenant was told of last, where that is an older one (TX-4.1.4)."""
        head, tenant_id = self._rules.terms.get(at_act.id), case.principal.tenant_id
        if head is None or not head.versions:
            return None
        since = self._opening(txn, tenant_id)[0] if tenant_id is not None else None
        found = older_told(head, at_act, site, case.at, tenant_id=tenant_id, since=since)
        return as_adopted(found, site, case.at) if found is not None else None

    def _tenant_opened_at(self, txn: LedgerTxn, tenant_id: str | None, terms: Agreement) -> datetime | None:
        """Say when a tenant came to us, as protecting.tenant_opened_at does."""
        return young_since(*self._opening(txn, tenant_id), terms) if tenant_id is not None else None

    def _opening(self, txn: LedgerTxn, tenant_id: str) -> tuple[datetime | None, datetime | None]:
        """Say when a tenant was opened, and when our record began: rows that never change, so read once."""
        if tenant_id not in self._openings:
            if len(self._openings) >= _OPENINGS:
                self._openings.clear()
            if None in (found := opening_of(txn, tenant_id)):
                return found
            self._openings[tenant_id] = found
        return self._openings[tenant_id]

    def announce(self, txn: LedgerTxn, notice: NoticeDue, tenant_id: str | None) -> None:
        """Put a notice into the outbox; what belongs to the same incident joins one that has not gone out yet."""
        txn.post(
            "notice",
            {
                "account_id": notice.account_id,
                "tenant_id": tenant_id,
                "incident_id": notice.incident_id,
                "templates": [notice.template],
                "sanction_ids": list(notice.sanction_ids),
            },
            due_at=txn.now + self._rules.notice_merge,
            merge_key=f"{notice.account_id}:{notice.incident_id}:{_KIND.get(notice.template, 'sanction')}",
        )

    def domain_owner(self, txn: LedgerTxn, domain: str) -> str | None:
        tenant = txn.tenant_of_domain(domain)
        return tenant.tenant_id if tenant is not None else None

    def object_by_mail(self, txn: LedgerTxn, objection: Objection) -> int:
        """File an objection against every sanction above a warning in force, or against the warning when it is all
        there is. Says how many were filed; one a sanction, so a second mail adds nothing."""
        account = txn.account(objection.account_id)
        if account is None:
            raise UsageError(f"no account {objection.account_id}")
        return self.object_to_all(txn, account, channel="mail", tenant_id=objection.tenant_id)

    def object_to_all(
        self, txn: LedgerTxn, account: Account, *, channel: str, tenant_id: str | None = None
    ) -> int:
        """File an objection against what is in force and not objected to yet; by a tenant's administrator also against
        the steps against the tenant.

        Args:
            tenant_id: about whom rows may be added besides the account; None: nobody.
        """
        tenant = txn.tenant(account.tenant_id)
        terms = self._rules.terms_for(tenant, txn.now)
        history = txn.history(account.account_id)
        objected = {s.imposed.sanction_id for s in history.sanctions if s.objected_at is not None}
        standing = standing_at(history, terms, txn.now, surroundings(txn, account.account_id, account.tenant_id))
        active = [s for s in standing.sanctions if s.rung > Rung.WARN] or list(standing.sanctions)
        filed = 0
        for sanction in active:
            if sanction.sanction_id in objected:
                continue
            appeal_id = self.file_objection(
                txn, account, sanction.sanction_id, sanction.incident_id, channel=channel
            )
            due_at = txn.now + timedelta(hours=terms.incident.objection_hours)
            facts: Facts = {"task_id": derived_id("w", appeal_id, "appeal"), "what": "appeal", "due_at": due_at}
            announce_event(txn, "desk_task", account.account_id, facts)
            opened = (i.opened for i in history.incidents if i.opened.incident_id == sanction.incident_id)
            if tenant_id is not None and any(x.tenant_id in ("", tenant_id) for x in opened):
                incident_id = sanction.incident_id
                note_appeal(txn, account, tenant_id, appeal_id=appeal_id, incident_id=incident_id, is_open=True)
            filed += 1
        holds = standing.security.holds
        filed += object_to_holds(txn, holds, account.account_id, account.tenant_id, terms, channel=channel)
        if tenant is not None and tenant.tenant_id == tenant_id and is_administrator(account, tenant):
            for step in steps_in_force(txn, tenant, terms):
                file_step(txn, tenant, terms, step, channel=channel)
                filed += 1
        return filed

    def file_objection(
        self, txn: LedgerTxn, account: Account, sanction_id: str, incident_id: str, *, channel: str
    ) -> str:
        """Record one objection, which opens an appeal, and promise its acknowledgement. Says the appeal's id."""
        appeal_id = derived_id("p", sanction_id)
        txn.append(
            r.ObjectionFiled(
                at=txn.now,
                appeal_id=appeal_id,
                sanction_id=sanction_id,
                incident_id=incident_id,
                account_id=account.account_id,
                channel=channel,
            ),
            account_id=account.account_id,
            tenant_id=account.tenant_id,
        )
        notice = NoticeDue(
            template="objection_received",
            account_id=account.account_id,
            incident_id=incident_id,
            sanction_ids=(sanction_id,),
        )
        self.announce(txn, notice, account.tenant_id)
        return appeal_id


def surroundings(txn: LedgerTxn, account_id: str, tenant_id: str | None) -> Surroundings:
    """Gather what an account's standing depends on besides its own record."""
    account = txn.account(account_id)
    tenant = txn.tenant(tenant_id) if tenant_id else None
    return Surroundings(
        tenant=txn.history(tenant_id) if tenant_id else None,
        site=txn.history(SITE),
        tenant_expires_on=tenant.expires_on if tenant is not None else None,
        expires_on=account.expires_on if account is not None else None,
        seats=tenant.seats if tenant is not None else None,
        plan=tenant.plan if tenant is not None else None,
    )


def _counts_until(history: History, decision: Decision, at: datetime) -> datetime:
    """Say until when the strike counts that a mail is evidence of, whether or not this mail raised it."""
    ends = [x.expires_at for x in decision.records if isinstance(x, r.StrikeIssued)]
    mine = (i.strike for i in history.incidents if i.opened.incident_id == decision.incident_id)
    return max((*ends, *(strike.expires_at for strike in mine if strike is not None)), default=at)


def _keep_longer(txn: LedgerTxn, history: History, decision: Decision, account_id: str, until: datetime) -> None:
    """Keep what came before as long: a strike that this mail raised counts longer for all of its incident, and what it
    led to can be contested longer."""
    before = next((i.strike for i in history.incidents if i.opened.incident_id == decision.incident_id), None)
    grew = any(isinstance(x, (r.StrikeIssued, r.SanctionImposed)) for x in decision.records)
    if before is None or not grew:
        return
    acts = (x for x in txn.records(account_id) if isinstance(x, r.ViolationRecorded))
    for act in acts:
        if act.incident_id == decision.incident_id and act.evidence_digest is not None:
            txn.promote_evidence(act.transaction_id, account_id, until)


def portion_of(case: Case, decision: Decision, terms: Agreement, rules: DeskRules) -> Portion:
    """Say what is kept of a mail in breach: what its categories ask, and where the findings behind them are."""
    categories = (terms.find_category(violation.category) for violation in decision.violations)
    codes = {code for violation in decision.violations for code in violation.finding_codes}
    places = (item.where for item in case.assessment.findings if item.code in codes and item.where is not None)
    return Portion(
        kept=strongest((item.evidence for item in categories if item is not None), rules.evidence_at_most),
        places=tuple(dict.fromkeys(places)),
        around_bytes=rules.excerpt_bytes,
    )
