"""Whose matters each verb of the ledger is about, so that nodes sharing a store keep each other waiting for no more.

A verb that is not named here has the ledger to itself while it runs: right for what people do, which is rare and may
reach from one account to others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filterd.model.about import EVERYTHING, NOTHING, About, about
from filterd.model.decision import Case
from filterd.model.held import InboundHold

# Verbs that only look, or write what no row is about. One of them that tried to add a row would be refused.
_LOOKS = frozenset(
    {
        "account.history",
        "account.list",
        "account.show",
        "advice.note",
        "appeal.list",
        "effect.list",
        "appeal.look_online",
        "appeal.show",
        "automation.show",
        "bounce.note",
        "breaker.list",
        "complaint.list",
        "complaint.show",
        "cure.list",
        "incident.list",
        "incident.show",
        "change.list",
        "clock.list",
        "ledger.rows",
        "notice.list",
        "notice.preview",
        "notice.show",
        "maintenance.list",
        "optout.list",
        "mandate.list",
        "person.list",
        "proposal.list",
        "proposal.show",
        "quarantine.list",
        "recall.preview",
        "registration.list",
        "registration.show",
        "report.list",
        "rights.list",
        "security.show",
        "senders.granted",
        "senders.known",
        "senders.note",
        "review.list",
        "staffing.show",
        "service.facts",
        "service.show",
        "task.list",
        "tenant.deletions",
        "tenant.history",
        "tenant.list",
        "tenant.show",
    }
)


def of_case(case: Case) -> About:
    """A decision: the account, and the tenant that answers for it."""
    return about(tenants=(case.principal.tenant_id,), accounts=(case.principal.account_id,))


def of_recipients(given: InboundHold) -> About:
    """A stranger's mail: the accounts it is held for."""
    return about(accounts=given.accounts)


def of_login(given: Mapping[str, Any]) -> About:
    """An account found, or made with its tenant, at its first mail."""
    login = str(given.get("login") or "")
    if not given.get("may_create"):
        return NOTHING
    return about(domains=(login.rpartition("@")[2],), logins=(login,))


def of_account(given: Mapping[str, Any]) -> About:
    """What an account's own user does, and the administrator for the tenant."""
    return about(tenants=(given.get("tenant_id"),), accounts=(str(given.get("account_id") or ""),))


def of_verb(name: str, _: object) -> About:
    """Any other verb, whatever its arguments."""
    return NOTHING if name in _LOOKS else EVERYTHING
