"""Says which new terms customers have not been told of: at the start, after a reload, when it changes.  TX-4.1.4.

What that means for mail is agreement/announced's matter: the milder of the old and the new sanction counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from filterd.agreement.announced import unannounced
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import begins_at
from filterd.log import service_log
from filterd.model.entry import SITE
from filterd.ports import Clock


class AnnouncedWatch:
    """Run by the ledger process.

    Args:
        submit: runs a function of a transaction that only looks.
        terms: the agreements in force, by id.
    """

    def __init__(
        self,
        submit: Callable[[Callable[[Any], Any]], Awaitable[Any]],
        terms: Callable[[], Mapping[str, Agreement]],
        clock: Clock,
    ):
        self._submit, self._terms, self._clock = submit, terms, clock
        self._began_at: datetime | None = None
        self._said: tuple[tuple[str, str], ...] = ()

    async def look(self) -> None:
        """Say it where it has changed."""
        heads = [head for head in self._terms().values() if head.versions]
        found: list[Agreement] = []
        if heads:
            if self._began_at is None:
                self._began_at = await self._submit(lambda txn: next((x.at for x in txn.records(SITE)), None))
            site, now = await self._submit(lambda txn: txn.history(SITE)), self._clock.now()
            found = [x for head in heads for x in unannounced(head, site, now, began_at=self._began_at or now)]
        names = tuple((x.id, x.version) for x in found)
        if names == self._said:
            return
        self._said = names
        for item in found:
            service_log().warning(
                "version_not_announced",
                agreement=item.id,
                version=item.version,
                begins_at=begins_at(item).isoformat(),
                effect="the milder sanction of it and of the last announced version counts",
                do=how_to_announce(item),
            )


def how_to_announce(version: Agreement) -> str:
    """Say the command that tells customers."""
    day = version.calendar.day_of(begins_at(version))
    return f"filterd change announce terms --agreement {version.id} --on {day} --document WHERE"
