"""One look at a domain's MX, by every resolver there is.  TX-4.4.4, RFC 5321 §5.1, RFC 7505."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from filterd.agreement.free_mx import MxSeen, verdict
from filterd.errors import FilterdError
from filterd.ports import Lookups, Resolver


async def probe_domain(resolvers: Sequence[Resolver], domain: str, declared: Collection[str]) -> str:
    """Say good, bad or unknown of a domain (A-labels, lower case); see agreement/free_mx.verdict."""
    seen = await asyncio.gather(*(_look(resolver.for_message(), domain) for resolver in resolvers))
    return verdict(domain, seen, declared)


async def _look(dns: Lookups, domain: str) -> MxSeen | None:
    """Say what one resolver sees; None when it cannot say: SERVFAIL, a timeout, a broken answer."""
    try:
        answer = await dns.query(domain, "MX")
        if not answer.exists:
            return MxSeen(exists=False)
        hosts = tuple(str(host).rstrip(".").lower() for _, host in answer.records)
        if hosts:
            return MxSeen(hosts=hosts)
        for rdtype in ("A", "AAAA"):
            if (await dns.query(domain, rdtype)).records:
                return MxSeen(has_address=True)
        return MxSeen()
    except (FilterdError, TimeoutError):
        return None
