"""Is anybody looking at held mail, and is there somewhere to let it go to?  STANDING 5.7-23."""

from __future__ import annotations

from collections.abc import AsyncIterator

from filterd.cli.link import connected
from filterd.cli.probes.finding import Finding, Patient, ok, skipped, warning
from filterd.cli.say import count
from filterd.errors import FilterdError


async def held(patient: Patient) -> AsyncIterator[Finding]:
    """Does mail wait for a decision that is due, or on its way for a next hop that does not take it?"""
    config = patient.config
    if config.milter.enabled and config.next_hop.address == "sink" and config.notices.relay is None:
        yield warning(
            "released mail would go into the built-in sink: a milter has no next hop",
            "set next_hop.address, or notices.relay, to a server that takes mail from here",
        )
    try:
        async with connected(config) as remote:
            rows = await remote.call("quarantine.list", {})
    except FilterdError as err:
        yield skipped(f"could not be looked at: {err}")
        return
    late = [row for row in rows if row["overdue"]]
    if late:
        yield warning(
            f"{count(len(late), 'held mail')} of {len(rows)} should have been decided about by now",
            "filterd quarantine list; nobody deciding, they go back to their senders",
        )
    else:
        yield ok(f"{count(len(rows), 'mail')} in quarantine, none overdue")
