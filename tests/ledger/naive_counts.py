"""Counting by hand: a list of what happened, and a question answered by going through all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from filterd.ports import CountRequest

SPANS = {"10min": 10, "hour": 60, "day": 1440}


@dataclass
class NaiveNode:
    """One life of one ledger process: what it has counted, in which minute, for the day and for the hour."""

    minutes: list[tuple[str, str, str, int]] = field(default_factory=list)
    again: list[tuple[str, str, str, int]] = field(default_factory=list)

    def count(self, request: CountRequest) -> None:
        """Take a submission in: `minutes` and `again` have (subject, what, key, minute)."""
        now = minute(request)
        for what, keys in (("messages", (request.evidence_key,)), ("recipients", request.delivery_keys)):
            for key in keys:
                self._place(request, what, key, now)

    def _place(self, request: CountRequest, what: str, key: str, now: int) -> None:
        mine = [then for who, w, k, then in self.minutes if (who, w, k) == (request.account_id, what, key)]
        lately = [then for who, w, k, then in self.again if (who, w, k) == (request.account_id, what, key)]
        where = None
        if not mine or abs(now - mine[-1]) >= 1440:
            where = self.minutes
        elif now - max((*mine[-1:], *(then for then in lately if then > mine[-1]))) >= 60:
            where = self.again
        if where is not None:
            for subject in (request.account_id, request.tenant_id, request.client_id):
                if subject is not None:
                    where.append((subject, what, key, now))

    def sum(self, subject: str, what: str, span: str, now: int) -> int:
        """Say what the window that ends with a minute holds."""
        places = self.minutes if span == "day" else [*self.minutes, *self.again]
        return sum(
            1 for who, w, _, then in places if who == subject and w == what and 0 <= now - then < SPANS[span]
        )


def minute(request: CountRequest) -> int:
    return int(request.at.timestamp()) // 60
