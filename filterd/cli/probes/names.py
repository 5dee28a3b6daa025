"""Does a name server answer?  FAULTS 11-14."""

from __future__ import annotations

from collections.abc import AsyncIterator

from filterd.cli.probes.finding import Finding, Patient, ok, skipped, warning
from filterd.clients.resolver_wire import NameServers
from filterd.errors import ConfigError, PortError


async def dns(patient: Patient) -> AsyncIterator[Finding]:
    """Ask for the servers of the root, which tells nobody anything about mail."""
    config = patient.config
    if not config.authentication.enabled:
        yield skipped("no check asks DNS")
        return
    asked = ", ".join(config.dns.nameservers) or "those of /etc/resolv.conf"
    fix = "mend [dns] nameservers, or /etc/resolv.conf; a resolver on this host is best"
    try:
        await NameServers(config.dns.nameservers or None, patience_s=config.dns.patience_s).ask((), "NS")
    except (ConfigError, PortError) as err:
        # The mail is not held up for it: a check that cannot ask says temperror.
        yield warning(f"no name server answers ({asked}): {err}; SPF, DKIM and DMARC cannot be checked", fix)
    else:
        yield ok(f"a name server answers ({asked})")
