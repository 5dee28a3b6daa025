"""From where, and to how many new people, one account sends: what a thief does otherwise.  STANDING 5.7-14.

Client ids are keyed hashes of networks. Which ones an account ever used, and since which day, is stored with its
correspondents (`CORRESPONDENT`), under names that no recipient's hash has; which ones it used within the last hour is
in memory only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

_HOUR_MINUTES = 60
# A network is new on its first day and the one after, where others have been known for a week.
_NEW_DAYS = 1
_SETTLED_DAYS = 7
# Somebody who travels has some hundreds; of more, the oldest are forgotten last.
CLIENTS_AT_MOST = 1000
# What client ids begin with (pipeline/client).
CLIENT_PREFIX = "c_"


class Origin(NamedTuple):
    """What there is to say of the network a mail came from."""

    clients_hour: int = 0
    is_new: bool = False
    is_original: bool = False


UNKNOWN = Origin()


@dataclass(slots=True)
class Clients:
    """Networks of one account: `since`: id to the day of first use, `lately`: id to the minute of the last."""

    since: dict[int, int] = field(default_factory=dict)
    lately: dict[int, int] = field(default_factory=dict)

    def knows(self, client_id: str) -> bool:
        return hash(client_id) in self.since

    def learn(self, client_id: str, day: int) -> None:
        """Take in what the store knows of a network."""
        known = self.since.get(hash(client_id))
        self.since[hash(client_id)] = day if known is None else min(day, known)

    def take(self, client_id: str, now: int, today: int) -> bool:
        """Take in a use; say whether it is the first one known."""
        client = hash(client_id)
        self.lately[client] = now
        if client in self.since or len(self.since) >= CLIENTS_AT_MOST:
            return False
        self.since[client] = today
        return True

    def origin(self, client_id: str | None, now: int, today: int, opened_day: int | None) -> Origin:
        """Say what there is to say of a network at a minute; nothing where nobody says which it is.

        Args:
            opened_day: of the account; None: not known.
        """
        if client_id is None:
            return UNKNOWN
        for client in [client for client, then in self.lately.items() if abs(now - then) >= _HOUR_MINUTES]:
            del self.lately[client]
        first = self.since.get(hash(client_id))
        is_settled = any(day <= today - _SETTLED_DAYS for day in self.since.values())
        return Origin(
            clients_hour=len(self.lately),
            is_new=first is not None and first >= today - _NEW_DAYS and is_settled,
            is_original=first is not None and opened_day is not None and first <= opened_day,
        )
