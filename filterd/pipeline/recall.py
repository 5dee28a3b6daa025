"""Take back what a wrong rule or signature did, in bulk, by two people.  STANDING 5.7-8.

`recall.preview` lists what rests on it; `filterd recall propose` makes the proposal `rule.recall`, which is approved
like any other and then annuls, runs each ladder again, and tells each account once an incident. An incident that also
rests on something else is not annulled: it becomes a task, and a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.recall import Dependents, Wrong, dependents
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.pipeline.appeal_undo import undo
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.roles import permitted
from filterd.ports import LedgerTxn

ACT = "rule.recall"
# A year: what a rule did before has faded.
MAX_DAYS = 366


class RecallVerbs:
    """The verbs about recalls; the act itself is RECALL."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"recall.preview": self.recall_preview}

    def recall_preview(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say what rests on `rule` (and `version`) from `since` to `until`, without touching anything."""
        permitted(txn, arguments, "proposal.make")
        wrong = wrong_in(arguments, txn.now)
        found = resting_on(txn, wrong)
        return {
            "rule": wrong.rule,
            "version": wrong.version,
            "since": iso(wrong.since),
            "until": iso(wrong.until),
            "accounts": len(found),
            "annulled": sum(len(x.whole) for _, x in found),
            "looked_at_again": sum(len(x.part) for _, x in found),
            "incidents": [
                {"account_id": account.account_id, "incident_id": incident_id, "does": does}
                for account, x in found
                for does, ids in (("annul", x.whole), ("reassess", x.part))
                for incident_id in ids
            ],
        }


def wrong_in(arguments: Mapping[str, Any], now: datetime) -> Wrong:
    """Read what is to be recalled. Raises RefusedError for what is no window."""
    rule = str(arguments.get("rule") or "").strip()
    version = str(arguments.get("version") or "").strip() or None
    if not rule or rule.count(".") < 1 or not rule.isprintable():
        raise RefusedError("say which finding: --rule area.subject.state")
    since = _instant(arguments.get("since"), "since")
    until = _instant(arguments["until"], "until") if arguments.get("until") else now
    if not since < until <= now or until - since > timedelta(days=MAX_DAYS):
        raise RefusedError(f"a recall looks back: since before until, until not after now, at most {MAX_DAYS} days")
    return Wrong(rule=rule, version=version, since=since, until=until)


def _instant(said: object, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(str(said))
    except ValueError as err:
        raise RefusedError(f"--{name} is an instant, 2026-11-20T08:00:00+08:00 for instance") from err
    if at.tzinfo is None:
        raise RefusedError(f"--{name} needs its zone: 2026-11-20T08:00:00+08:00 for instance")
    return at


def resting_on(txn: LedgerTxn, wrong: Wrong) -> list[tuple[Account, Dependents]]:
    """Say what rests on it, account by account."""
    found = []
    for account in txn.accounts():
        if not txn.history(account.account_id).incidents:
            continue
        mine = dependents(account.account_id, txn.records(account.account_id), wrong)
        if mine.whole or mine.part:
            found.append((account, mine))
    return found


def recall(desk: Desk, txn: LedgerTxn, wrong: Wrong, *, by: str, approver: str, reason: str) -> dict[str, Any]:
    """Annul what rests on it alone, ask a person about the rest, and write down that it was recalled."""
    found = resting_on(txn, wrong)
    annulled: list[str] = []
    for account, mine in found:
        for incident_id in mine.whole:
            undo(desk, txn, account, incident_id, by=approver, reason=reason)
            annulled.append(incident_id)
        for incident_id in mine.part:
            _reassess(desk, txn, account, incident_id, wrong)
    recalled = r.RuleRecalled(
        at=txn.now,
        recall_id=derived_id("v", wrong.rule, wrong.version or "", txn.now.isoformat()),
        rule=wrong.rule,
        version=wrong.version,
        since=wrong.since,
        until=wrong.until,
        incident_ids=tuple(annulled),
        by=by,
        approver=approver,
        reason=reason,
    )
    txn.append(recalled, account_id=None, tenant_id=None)
    return {
        "recall_id": recalled.recall_id,
        "annulled": annulled,
        "reassessed": [x for _, mine in found for x in mine.part],
    }


def _reassess(desk: Desk, txn: LedgerTxn, account: Account, incident_id: str, wrong: Wrong) -> None:
    """Ask a person: not everything this rests on was right (STANDING 5.7-3)."""
    terms = desk.terms(txn, account)
    task = r.TaskOpened(
        at=txn.now,
        task_id=derived_id("w", incident_id, ACT, wrong.rule, wrong.version or "", txn.now.isoformat()),
        incident_id=incident_id,
        account_id=account.account_id,
        what="reassess: part of what it rests on was recalled",
        warranted="none",
        imposed="none",
        due_at=txn.now + timedelta(hours=terms.incident.task_due_hours),
    )
    desk.append(txn, account, task)


# --- the act that takes two people ------------------------------------------------------------------------------------


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    wrong = wrong_in(arguments, txn.now)
    found = resting_on(txn, wrong)
    if not found:
        raise RefusedError("nothing rests on it")
    return {
        "rule": wrong.rule,
        "version": wrong.version,
        "since": wrong.since.isoformat(),
        "until": wrong.until.isoformat(),
        "incident_ids": sorted(x for _, mine in found for x in mine.whole),
    }


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]) -> Mapping[str, Any]:
    """What two people have read: just these incidents. What comes in meanwhile takes another proposal."""
    found = resting_on(txn, _wrong_of(terms))
    return {
        "annulled": sorted(x for _, mine in found for x in mine.whole),
        "looked_at_again": sorted(x for _, mine in found for x in mine.part),
    }


def _carry_out(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    proposal = decided.proposal
    return recall(
        desk, txn, _wrong_of(decided.terms), by=proposal.by, approver=decided.approved.by, reason=proposal.reason
    )


def _wrong_of(terms: Mapping[str, Any]) -> Wrong:
    since, until = (datetime.fromisoformat(terms[name]) for name in ("since", "until"))
    return Wrong(rule=terms["rule"], version=terms["version"], since=since, until=until)


RECALL = Act(name=ACT, about="site", prepare=_prepare, rests_on=_rests_on, carry_out=_carry_out)
