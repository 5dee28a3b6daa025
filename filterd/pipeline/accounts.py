"""What people can look at: accounts and incidents, their standing and why.  STANDING 5.2, 5.5; HOUSE rule 15.

Ids, clauses, numbers: of the mail itself nothing (pipeline/evidence). Who looks with a token of a tenant's or a
reseller's sees their own tenants; without a token one has to be allowed to use the ledger's socket.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from filterd.agreement.disposition import SENDING
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.held import WAITING
from filterd.model.principal import Account
from filterd.model.sanction import Ground, Rung
from filterd.model.standing import IncidentFile
from filterd.pipeline.actors import Sides
from filterd.pipeline.desk import Desk, iso, plain, standing_row
from filterd.pipeline.directory_rows import account_facts
from filterd.pipeline.effects import enforcement
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.roles import LOOK, is_scoped, permitted, reaches
from filterd.pipeline.terminations import coming, coming_row
from filterd.pipeline.urgent import is_kept_from_tenant
from filterd.ports import LedgerTxn

# As many as fit a screen; `quarantine list` has them all.
HELD_SHOWN = 30
# Fields of rows that a tenant's people do not read: who else was involved, and what somebody wrote down.
_NOT_THEIRS = frozenset(
    {
        "reason",
        "by",
        "approver",
        "reviewer",
        "delivery_keys",
        "recipient_marks",
        "signals",
        "text_fp",
        "evidence_key",
        "evidence_digest",
    }
)
# Rows they do not read at all: what an authority asked for or keeps from being told, and what two people weigh.
_NOT_FOR_THEM = (
    r.NoticeDelayed,
    r.LegalRequestFiled,
    r.EntryEnded,
    r.Proposed,
    r.Approved,
    r.ProposalEnded,
    r.EvidenceHeld,
    r.EvidenceReleased,
    r.EvidenceViewed,
    r.EvidenceExported,
    r.EvidenceTaken,
    r.ReportOpened,
    r.ReportSettled,
)


class AccountVerbs:
    """The verbs that look. One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "account.list": self.account_list,
            "account.show": self.account_show,
            "account.history": self.account_history,
            "incident.list": self.incident_list,
            "incident.show": self.incident_show,
        }

    def account_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        rows = []
        for account in self._seen(txn, arguments):
            standing = self._desk.standing(txn, account)
            if arguments.get("only_sanctioned") and not standing.strikes and not standing.sanctions:
                continue
            rows.append(standing_row(account, standing))
        return rows

    def account_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        account = self._account(txn, arguments)
        history = txn.history(account.account_id)
        terms = self._desk.terms(txn, account)
        standing = self._desk.standing(txn, account)
        shown = standing_row(account, standing)
        shown |= account_facts(account, txn.tenant(account.tenant_id))
        shown["features_off"] = [str(f) for f in standing.features]
        life = standing.lifecycle
        shown["lifecycle"] = {
            "state": life.state.value,
            "since": iso(life.since),
            "over_at": iso(life.over_at),
            "because": life.because,
            "keep_until": iso(life.keep_until),
            "is_held": life.is_held,
        }
        records, effectors = txn.records(account.account_id), self._desk.rules.effectors
        told = partial(enforcement, records, effectors=effectors)
        imposed_at = {s.imposed.sanction_id: s.imposed.starts_at for s in history.sanctions}
        shown["sanctions"] = [
            {
                "sanction_id": s.sanction_id,
                "incident_id": s.incident_id,
                "rung": s.rung.word,
                "features": [str(f) for f in s.features],
                "category": s.category,
                "clauses": list(s.clauses),
                "ends_at": iso(s.ends_at),
                "automatic": s.is_automatic,
                "confirmed": s.is_confirmed,
                "enforcement": told(s.sanction_id, imposed_at[s.sanction_id]) if s.rung >= Rung.SUSPEND else None,
            }
            for s in standing.sanctions
        ]
        shown["coming"] = [coming_row(file, seen) for file, seen in coming(history, terms, standing)]
        shown["holds"] = [
            {
                "hold_id": h.hold_id,
                "incident_id": h.incident_id,
                "features": [str(f) for f in h.features],
                "ends_at": iso(h.ends_at),
                "enforcement": told(h.hold_id, h.starts_at) if SENDING in h.features else None,
            }
            for h in standing.holds
        ]
        shown["strikes"] = [
            {
                "strike_id": s.strike_id,
                "incident_id": s.incident_id,
                "points": s.half_points / 2,
                "provisional": s.is_provisional,
                "fades_at": iso(s.expires_at),
            }
            for s in standing.strikes
        ]
        shown["incidents"] = [_incident_row(i) for i in history.incidents]
        waiting = txn.held_mails(WAITING, account_id=account.account_id, limit=HELD_SHOWN)
        shown["held_mails"] = [
            {
                "item_id": x.item_id,
                "direction": x.facts.direction.value,
                "state": x.state.value,
                "due_at": iso(x.due_at),
            }
            for x in waiting
        ]
        return shown

    def account_history(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        account = self._account(txn, arguments)
        actor = self._actor(txn, arguments)
        is_theirs = actor is not None and is_scoped(actor)
        records, sides = txn.records(account.account_id), Sides(txn.records(SITE))
        rows = [{"kind": r.KIND_OF[type(x)], **plain(x), "actor": sides.of_row(x)} for x in records]
        return for_tenants_people(rows, records) if is_theirs else rows

    def incident_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the incidents of one `account`, or of everybody, the newest first."""
        accounts = [self._account(txn, arguments)] if arguments.get("account") else self._seen(txn, arguments)
        rows = [
            {"login": account.login, "account_id": account.account_id, **_incident_row(incident)}
            for account in accounts
            for incident in txn.history(account.account_id).incidents
        ]
        return sorted(rows, key=lambda row: str(row["began_at"]), reverse=True)

    def incident_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say all about one incident: its acts, grounds, sanctions, notices and tasks; nothing of any mail."""
        said = str(arguments.get("incident") or "")
        owner = txn.account_of(said)
        account = txn.account(owner) if owner is not None else None
        actor = self._actor(txn, arguments)
        if account is None or (actor is not None and not reaches(txn, actor, txn.tenant(account.tenant_id))):
            raise UsageError(f"no incident {said}")
        prefix = said.split("_", 1)[-1]
        history = txn.history(account.account_id)
        owned = {s.imposed.incident_id for s in history.sanctions if s.imposed.sanction_id == said}
        found = [
            i
            for i in history.incidents
            if i.opened.incident_id in owned or i.opened.incident_id.split("_", 1)[-1].startswith(prefix)
        ]
        if not found:
            raise UsageError(f"no incident {said}")
        incident_id = found[0].opened.incident_id
        records = [x for x in txn.records(account.account_id) if _is_about(x, incident_id)]
        acts = [x for x in records if isinstance(x, r.ViolationRecorded)]
        return {
            "login": account.login,
            "account_id": account.account_id,
            **_incident_row(found[0]),
            "after_notice": found[0].opened.is_after_notice,
            "first": found[0].opened.is_first,
            "probation": found[0].opened.is_in_probation,
            "categories": sorted({v.category for x in acts for v in x.violations}),
            "grounds": sorted({_ground(v.ground) for x in acts for v in x.violations}),
            "finding_codes": sorted({code for x in acts for v in x.violations for code in v.finding_codes}),
            "transactions": [x.transaction_id for x in acts],
            "sanctions": [
                {
                    "sanction_id": s.imposed.sanction_id,
                    "rung": s.imposed.rung.word,
                    "clauses": list(s.imposed.clauses),
                    "starts_at": iso(s.imposed.starts_at),
                    "ends_at": iso(s.imposed.ends_at),
                    "automatic": s.imposed.is_automatic,
                    "confirmed_at": iso(s.confirmed_at),
                    "lifted_at": iso(s.lifted_at),
                    "annulled_at": iso(s.annulled_at),
                    "objected_at": iso(s.objected_at),
                }
                for s in history.sanctions
                if s.imposed.incident_id == incident_id
            ],
            "notices": [
                {"notice_id": x.notice_id, "template": x.template, "outcome": x.outcome, "deemed_at": iso(x.deemed_at)}
                for x in records
                if isinstance(x, r.NoticeSent)
            ],
            "tasks": [
                {"task_id": x.task_id, "what": x.what, "due_at": iso(x.due_at)}
                for x in records
                if isinstance(x, r.TaskOpened)
            ],
        }

    def _actor(self, txn: LedgerTxn, arguments: Arguments) -> Actor | None:
        """Say who looks; None: somebody who may use the socket, and said no more."""
        return permitted(txn, arguments, LOOK) if arguments.get("token") else None

    def _account(self, txn: LedgerTxn, arguments: Arguments) -> Account:
        """Find the account meant; what is out of somebody's reach is not there for them."""
        account = self._desk.account(txn, arguments["account"])
        actor = self._actor(txn, arguments)
        if actor is not None and not reaches(txn, actor, txn.tenant(account.tenant_id)):
            raise UsageError(f"no account {arguments['account']}")
        return account

    def _seen(self, txn: LedgerTxn, arguments: Arguments) -> list[Account]:
        actor = self._actor(txn, arguments)
        if actor is None or not is_scoped(actor):
            return list(txn.accounts())
        theirs = {tenant.tenant_id for tenant in txn.tenants() if reaches(txn, actor, tenant)}
        return [account for account in txn.accounts() if account.tenant_id in theirs]


def for_tenants_people(rows: list[dict[str, Any]], records: tuple[r.Record, ...]) -> list[dict[str, Any]]:
    """Say of rows, each as it is printed and as it is, what a tenant's people may read."""
    pairs = zip(rows, records, strict=True)
    theirs = [row for row, x in pairs if not isinstance(x, _NOT_FOR_THEM) and not is_kept_from_tenant(x)]
    return [{key: value for key, value in row.items() if key not in _NOT_THEIRS} for row in theirs]


def _incident_row(incident: IncidentFile) -> dict[str, Any]:
    strike = incident.strike
    return {
        "incident_id": incident.opened.incident_id,
        "began_at": iso(incident.opened.at),
        "families": sorted(incident.families),
        "messages": incident.message_count,
        "recipients": incident.delivery_count,
        "points": (max(strike.a_half_points, strike.b_half_points) / 2) if strike else 0,
        "noticed_at": iso(incident.noticed_at),
        "annulled": incident.is_annulled,
    }


def _is_about(record: r.Record, incident_id: str) -> bool:
    return getattr(record, "incident_id", None) == incident_id or (
        isinstance(record, r.NoticeSent) and incident_id in record.incident_ids
    )


def _ground(ground: Ground) -> str:
    return f"{ground.kind} {' '.join(ground.ids)}"
