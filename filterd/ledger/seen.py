"""What one account has sent before: keys against double counting, and whom it has written to.

In memory only, for a day at most: what was counted and is tried again after a restart, on another node, or when more
than 20,000 newer keys have come in between, counts once more. `CORRESPONDENT` rows bring back whom it has written to.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from filterd.ledger.drips import DAYS as DRIP_DAYS
from filterd.ledger.drips import Drips
from filterd.ledger.habits import Clients
from filterd.ledger.sliding import ZERO, Numbers
from filterd.ports import CountRequest

_HOUR_MINUTES = 60
_DAY_MINUTES = 1440
# A sender beyond this in a day is far above every limit; a repeated recipient may then count twice.
_KEYS_AT_MOST = 20_000
CORRESPONDENTS_AT_MOST = 20_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a submission adds to its minute. `again`: to the hour and not to the day; `met`: recipients met first,
    and the network where that is new;
    `external`: how many of its new recipients are outside. `drip`: how many strangers had this text lately, as told to
    one of them."""

    numbers: Numbers
    again: Numbers = ZERO
    met: tuple[str, ...] = ()
    external: int = 0
    drip: int = 0

    @property
    def outside(self) -> Change:
        """What it adds to what is counted of recipients outside alone."""
        return Change(numbers=(0, self.external, 0, 0))


@dataclass(slots=True)
class Seen:
    """Keys of one account. `deliveries` says in which minute a delivery key was counted, for the day and last for the
    hour; `messages` the same for evidence keys, with the unknown recipients of the message. `correspondents`:
    recipient to the day of first contact; `clients`: from which networks it sends; `drips`: how many got the
    same text; `answered`: who of the correspondents had written first. `new_a_day`: first contacts a day,
    as worked out for a day."""

    correspondents: dict[int, int] = field(default_factory=dict)
    clients: Clients = field(default_factory=Clients)
    drips: Drips = field(default_factory=Drips)
    answered: dict[int, int] = field(default_factory=dict)
    new_a_day: tuple[int, float] | None = None
    deliveries: dict[int, tuple[int, int]] = field(default_factory=dict)
    messages: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        kept = len(self.deliveries) + len(self.messages) + len(self.correspondents) + len(self.answered)
        return kept + self.drips.weight

    @property
    def is_full(self) -> bool:
        keys = max(len(self.deliveries), len(self.messages))
        return keys > _KEYS_AT_MOST or len(self.correspondents) > CORRESPONDENTS_AT_MOST

    def first_contacts(self, request: CountRequest) -> tuple[str, ...]:
        """Say to whom outside a text goes for the first time: of these the store knows who wrote first."""
        if request.text == "" or request.wrote_since is None or request.tenant_id is None:
            return ()
        outside = zip(request.recipient_hashes, request.is_external, strict=False)
        return tuple(name for name, is_external in outside if is_external and hash(name) not in self.correspondents)

    def take(self, request: CountRequest, now: int, today: int, answered: Collection[str] = ()) -> Change:
        """Take in a submission and say what is new about it. `answered`: who of the first contacts wrote first.

        What is tried again counts for the hour in the minute it is tried in, an hour later: otherwise a limit an hour
        would let everything pass that was refused an hour ago. For the day it stays where it was first: what waits
        would else keep a limit a day used up for as long as it is tried, and nothing would pass.
        """
        messages = recipients = messages_again = recipients_again = 0
        unknown = request.unknown
        message = hash(request.evidence_key)
        seen = self.messages.get(message)
        if seen is None or abs(now - seen[0]) >= _DAY_MINUTES:
            messages = 1
            self.messages[message] = (now, now, unknown)
        else:
            unknown = max(0, unknown - seen[2])
            messages_again = int(now - seen[1] >= _HOUR_MINUTES)
            self.messages[message] = (seen[0], now if messages_again else seen[1], seen[2] + unknown)
        both, external = (now, now), 0
        for place, name in enumerate(request.delivery_keys):
            delivery = hash(name)
            then = self.deliveries.get(delivery)
            if then is None or abs(now - then[0]) >= _DAY_MINUTES:
                recipients += 1
                external += place < len(request.is_external) and request.is_external[place]
                self.deliveries[delivery] = both
            elif now - then[1] >= _HOUR_MINUTES:
                recipients_again += 1
                self.deliveries[delivery] = (then[0], now)
        met, strangers_outside, is_lately_met = [], 0, False
        for place, name in enumerate(request.recipient_hashes):
            is_external = place < len(request.is_external) and request.is_external[place]
            first = self.correspondents.get(recipient := hash(name))
            if first is None and name in answered:
                self.answered[recipient] = today
            is_strange = is_external and recipient not in self.answered
            if first is None:
                self.correspondents[recipient] = today
                met.append(name)
                strangers_outside += is_strange
            # Tried again, a stranger is still one: what was held must not pass at the second try.
            is_lately_met |= is_strange and (first is None or abs(today - first) < DRIP_DAYS)
        strangers = len(met)
        is_asked = request.text != "" and is_lately_met
        drip = self.drips.take(int(request.text, 16), strangers_outside, today) if is_asked else 0
        if request.client_id is not None and self.clients.take(request.client_id, now, today):
            met.append(request.client_id)
        return Change(
            numbers=(messages, recipients, unknown, strangers),
            again=(messages_again, recipients_again, 0, 0),
            met=tuple(met),
            external=external,
            drip=drip,
        )

    def strangers_a_day(self, today: int, opened_day: int | None, days: int) -> float:
        """Say to how many people a day it wrote for the first time, in so many days before today or in its life; more
        than anything where too many are known to say."""
        if self.new_a_day is None or self.new_a_day[0] != today:
            begin = min(max(today - days, opened_day if opened_day is not None else today), today - 1)
            met = sum(begin <= day < today for day in self.correspondents.values())
            is_full = len(self.correspondents) >= CORRESPONDENTS_AT_MOST
            self.new_a_day = (today, float(CORRESPONDENTS_AT_MOST) if is_full else met / (today - begin))
        return self.new_a_day[1]

    def forget(self, now: int) -> None:
        for key in [key for key, then in self.deliveries.items() if abs(now - then[0]) >= _DAY_MINUTES]:
            del self.deliveries[key]
        for key in [key for key, message in self.messages.items() if abs(now - message[0]) >= _DAY_MINUTES]:
            del self.messages[key]
        _keep_newest(self.deliveries, _KEYS_AT_MOST)
        _keep_newest(self.messages, _KEYS_AT_MOST)
        _keep_newest(self.correspondents, CORRESPONDENTS_AT_MOST)
        _keep_newest(self.answered, CORRESPONDENTS_AT_MOST)


def _keep_newest(slots: dict[int, T], at_most: int) -> None:
    # A tenth at a time, so that a full dictionary is not gone through at every submission.
    excess = len(slots) - at_most
    if excess > 0:
        for key in list(islice(slots, excess + at_most // 10)):
            del slots[key]
