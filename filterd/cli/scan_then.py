"""`filterd scan --dns-of TX`: a mail once more, with the time, the client and the DNS answers of its decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from filterd.errors import UsageError

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.pipeline.kept_dns import KeptLookups


@dataclass(frozen=True, kw_only=True)
class Then:
    """What the event of a decision says about its time. `at`: when the mail came; a clock that stands at it."""

    at: datetime
    client_address: str | None
    helo: str | None
    lookups: KeptLookups

    def now(self) -> datetime:
        return self.at


def then(config: Config, ident: str) -> Then:
    """Find the decision about a transaction in the event stream of this node.

    Raises:
        UsageError: there is none.
        ModelError: the node has no key to find hashed names with.
    """
    from filterd.cli.keys import keys_of
    from filterd.cli.listed import about
    from filterd.cli.places import events_of
    from filterd.pipeline.kept_dns import KeptLookups

    found = [event for event in about(events_of(config), ident) if event["event"] == "decided"]
    if len(found) != 1:
        raise UsageError(
            f"{ident}: {'several decisions; give the id of one mail' if found else 'no decision about it'}"
        )
    (event,) = found
    return Then(
        at=datetime.fromisoformat(event["received_at"]),
        client_address=event["client"]["address"],
        helo=event["client"]["helo"],
        lookups=KeptLookups(event["dns"], keys_of(config).pseudonym),
    )
