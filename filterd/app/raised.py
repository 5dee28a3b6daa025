"""Says which categories a text raises without two people's approval: at the start, after a reload, when it changes.

What they do meanwhile is agreement/adopted's matter: they act as not raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from filterd import metrics
from filterd.agreement.adopted import unraised
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import versions
from filterd.log import service_log
from filterd.model.entry import SITE
from filterd.ports import Clock

# Agreement, version and category of each.
Waiting = tuple[tuple[str, str, str], ...]


class RaisedWatch:
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
        self._said: Waiting | None = None

    async def look(self) -> None:
        """Say it where it has changed."""
        texts = [item for head in self._terms().values() for item in versions(head)]
        site = await self._submit(lambda txn: txn.history(SITE))
        now = self._clock.now()
        waiting = tuple((item.id, item.version, name) for item in texts for name in unraised(item, site, now))
        if waiting == self._said:
            return
        self._said = waiting
        metrics.observe_unraised(len(waiting))
        for agreement, version, category in waiting:
            service_log().error(
                "category_not_raised",
                agreement=agreement,
                version=version,
                category=category,
                effect="acts as not raised",
                do=how_to_raise(agreement, version, category),
            )


def how_to_raise(agreement: str, version: str, category: str) -> str:
    """Say the command that proposes it."""
    terms = f"--set agreement={agreement} --set version={version} --set category={category} --set rehearsal=WHERE"
    return f"filterd proposal make category.raise site {terms} --reason WHY; then another: filterd proposal approve"
