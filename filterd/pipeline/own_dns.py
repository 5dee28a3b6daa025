"""What is wrong with the DNS records of a tenant's own domain?  TX-3.1.4; RFC 7208, RFC 6376 §3.6.1, RFC 9989.

A look once a day, and advice for the administrator when something new is wrong; nothing else follows from it: what goes
wrong there is the customer's own risk, and no breach. What cannot be asked is neither wrong nor right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.fetch import fetch
from filterd.checks.dkim.keys import Key, parse
from filterd.checks.dkim.sign import SigningKey
from filterd.checks.dkim.signature import key_name
from filterd.checks.dmarc_policy import Policies
from filterd.checks.psl import registries
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
PublicKey = RSAPublicKey | Ed25519PublicKey
_DNS_SILENT = (Fate.DNS, Fate.DNS_BUDGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDns:
    """What is known of how tenants' mail leaves.

    Args:
        addresses: from which it goes out to the world; none: SPF is not asked about them.
        selectors: under which others sign it; each is to have a key.
        keys: with which we sign it; the public half of each is to stand in the zone of its own domain.
    """

    addresses: tuple[Client, ...] = ()
    selectors: tuple[str, ...] = ()
    keys: tuple[SigningKey, ...] = ()


async def look_at(resolver: Resolver, domain: str, ours: OwnDns) -> dict[str, bool | None]:
    """Say by code whether something is wrong with a domain's records; None: DNS does not say, or nobody asked."""
    return {
        SPF: await _spf(resolver, domain, ours.addresses),
        DKIM: await _dkim(resolver.for_message(), domain, ours),
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


async def _dkim(dns: Lookups, domain: str, ours: OwnDns) -> bool | None:
    wanted: dict[str, PublicKey | None] = {key_name(selector, domain): None for selector in ours.selectors}
    wanted |= {key.record_name: key.private.public_key() for key in ours.keys if key.domain == domain}
    if not wanted:
        return None
    answers = await fetch(dns, list(wanted))
    if any(answer.fate in _DNS_SILENT for answer in answers.values()):
        return None
    for name, public in wanted.items():
        published = [key.public for text in answers[name].records if isinstance(key := parse(text), Key)]
        if not published or (public is not None and public not in published):
            return True
    return False


async def _dmarc(dns: Lookups, domain: str) -> bool | None:
    policies = Policies(dns)
    try:
        policy = await policies.policy(domain)
        if policy is None or not policy.record.is_usable:
            return True
        # RFC 9989 §11.8: above it a public suffix may have a record without psd=y. Then everybody below that suffix is
        # aligned with this domain, unless it says psd=n itself.
        organisation = await policies.organisation(domain)
    except (FilterdError, TimeoutError):
        return None
    return organisation != domain and registries().is_public_suffix(organisation)


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
