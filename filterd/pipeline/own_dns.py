"""What is wrong with the DNS records of a tenant's own domain?  TX-3.1.4; RFC 7208, RFC 6376 §3.6.1, RFC 9989.

A look once a day, and advice for the administrator when something new is wrong; nothing else follows from it: what goes
wrong there is the customer's own risk, and no breach. What cannot be asked is neither wrong nor right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.fetch import fetch
from filterd.checks.dkim.keys import Key, parse
from filterd.checks.dkim.signature import key_name
from filterd.checks.dmarc_policy import Policies
from filterd.checks.spf_query import Client, Questions, check_host, read_client
from filterd.errors import FilterdError
from filterd.model import records as r
from filterd.model.principal import Tenant
from filterd.pipeline.notice_events import announce_event
from filterd.ports import LedgerTxn, Lookups, Resolver

# Codes of advice; the notice has their words.
SPF, DKIM, DMARC = "dns.spf", "dns.dkim", "dns.dmarc"
# An address nobody sends from (RFC 5737): where the operator has not said ours, only the record itself is judged.
_NOBODY = "192.0.2.1"
_DNS_SILENT = (Fate.DNS, Fate.DNS_BUDGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDns:
    """What is known of how tenants' mail leaves.

    Args:
        addresses: from which it goes out to the world; none: SPF is not asked about them.
        selectors: under which it is signed; none: DKIM keys are not looked at.
    """

    addresses: tuple[Client, ...] = ()
    selectors: tuple[str, ...] = ()


async def look_at(resolver: Resolver, domain: str, ours: OwnDns) -> dict[str, bool | None]:
    """Say by code whether something is wrong with a domain's records; None: DNS does not say, or nobody asked."""
    return {
        SPF: await _spf(resolver, domain, ours.addresses),
        DKIM: await _dkim(resolver.for_message(), domain, ours.selectors),
        DMARC: await _dmarc(resolver.for_message(), domain),
    }


async def _spf(resolver: Resolver, domain: str, addresses: tuple[Client, ...]) -> bool | None:
    nobody = read_client(_NOBODY)
    answers = []
    for client in addresses or ((nobody,) if nobody is not None else ()):
        questions = Questions(resolver.for_message())
        answers.append(await check_host(questions, client, domain, local_part="postmaster", helo=domain))
    # That our evaluator gave up is not the domain's doing.
    if any(x.result == "temperror" or x.problem == "exception" for x in answers):
        return None
    if addresses:
        return any(x.result != "pass" for x in answers)
    return any(x.result in ("none", "permerror") for x in answers)


async def _dkim(dns: Lookups, domain: str, selectors: tuple[str, ...]) -> bool | None:
    if not selectors:
        return None
    keys = await fetch(dns, [key_name(selector, domain) for selector in selectors])
    if any(answer.fate in _DNS_SILENT for answer in keys.values()):
        return None
    return not all(any(isinstance(parse(x), Key) for x in answer.records) for answer in keys.values())


async def _dmarc(dns: Lookups, domain: str) -> bool | None:
    try:
        policy = await Policies(dns).policy(domain)
    except (FilterdError, TimeoutError):
        return None
    return policy is None or not policy.record.is_usable


# --- the ledger's side ------------------------------------------------------------------------------------------------


def wants_look(tenant: Tenant) -> bool:
    """Say whether a tenant's domains are looked at: those that somebody has declared. What first mail has shown may be
    anybody's."""
    return tenant.domains_declared and bool(tenant.domains)


def take_look(
    txn: LedgerTxn, tenant_id: str, seen: Mapping[str, Mapping[str, bool | None]], at: datetime
) -> tuple[str, ...]:
    """Write down what has changed since the last look, and advise about what is newly wrong; say those codes.

    Args:
        seen: by domain and code, as look_at says it.
    """
    tenant = txn.tenant(tenant_id)
    if tenant is None or not wants_look(tenant):
        return ()
    before = known_faults(txn, tenant_id)
    after = set()
    for domain in tenant.domains:
        for code, is_wrong in seen.get(domain, {}).items():
            fault = f"{code}:{domain}"
            if is_wrong or (is_wrong is None and fault in before):
                after.add(fault)
    if after == before:
        return ()
    looked = r.DnsLooked(at=at, tenant_id=tenant_id, faults=tuple(sorted(after)))
    txn.append(looked, account_id=None, tenant_id=tenant_id)
    codes = tuple(dict.fromkeys(fault.partition(":")[0] for fault in sorted(after - before)))
    for code in codes:
        announce_event(txn, "advice", tenant_id, {"code": code, "count": 1, "since": at})
    return codes


def known_faults(txn: LedgerTxn, tenant_id: str) -> frozenset[str]:
    """Say what was wrong at the last look that changed something: `dns.spf:cust.example`."""
    last = next((x for x in reversed(txn.records(tenant_id)) if isinstance(x, r.DnsLooked)), None)
    return frozenset(last.faults) if last is not None else frozenset()
