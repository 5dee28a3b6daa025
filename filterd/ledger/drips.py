"""How many strangers got much the same text from one account within a month: a slow drip.  STANDING 5.11, tail-a.

A text is known by a simhash of its shingles (`mail/fingerprint.text_fp`), veiled for the account so that it names no
text and compares with no other account's (pipeline/counting). Texts whose prints differ in few bits are one run. Only
first contacts outside the organisation are counted, by the day. Bounded: of more runs the smallest are forgotten, so
that a sender who mixes in other texts does not hide the one that drips.

Stored among the days of the counters under a name of its own a run (`subject`), by each node for itself, with absolute
numbers; a node reads what the others wrote when it looks the account up, and whenever it has written of it itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import ColumnElement, Connection, delete, func, select

from filterd.ledger.schema import COUNT_DAY

DAYS = 30
# Mail with more runs under way is told apart by the largest.
RUNS_AT_MOST = 64
_OTHERS_AT_MOST = 4 * RUNS_AT_MOST
# In so many of 64 bits texts differ that say the same but for a name: measured 5 to 13 at letters of 200 characters, 16
# and more at letters that say something else. A campaign is told by 8 (pipeline/campaign): there mail goes by it.
NEAR_BITS = 12
_PREFIX = "d_"
# The character after the one that ends a name's account.
_END = "`"


def subject(account_id: str, run: int) -> str:
    """Say under which name the days of a run are stored."""
    return f"{_PREFIX}{account_id}_{run:016x}"


@dataclass(slots=True)
class Drips:
    """The runs of one account: print of the text, then strangers by day (a date ordinal). `others`: of other nodes, as
    last read. `unsaved`: runs and days that the store does not know yet. `tidied`: for which day."""

    own: dict[int, dict[int, int]] = field(default_factory=dict)
    others: dict[int, dict[int, int]] = field(default_factory=dict)
    unsaved: set[tuple[int, int]] = field(default_factory=set)
    tidied: int = 0

    @property
    def weight(self) -> int:
        return sum(map(len, self.own.values())) + sum(map(len, self.others.values()))

    def take(self, text: int, strangers: int, today: int) -> int:
        """Take in a mail to so many strangers; say how many had its text within the month, these included."""
        if today != self.tidied:
            self.tidied = today
            self.forget(today)
        if strangers:
            near = [known for known in self.own if (known ^ text).bit_count() <= NEAR_BITS]
            run = min(near, key=lambda known: (known ^ text).bit_count(), default=text)
            days = self.own.setdefault(run, {})
            days[today] = days.get(today, 0) + strangers
            self.unsaved.add((run, today))
            if len(self.own) > RUNS_AT_MOST:
                self._forget_small(run)
        same = [days for runs in (self.own, self.others) for run, days in runs.items()
                if (run ^ text).bit_count() <= NEAR_BITS]  # fmt: skip
        return sum(count for days in same for day, count in days.items() if 0 <= today - day < DAYS)

    def ours(self, account_id: str, runs: Iterable[tuple[int, int]]) -> dict[tuple[str, int], tuple[int, int]]:
        """Say what is to be written of some runs and days, as the days of the counters have it."""
        return {
            (subject(account_id, run), day): (0, self.own[run][day])
            for run, day in runs
            if day in self.own.get(run, ())
        }

    def hear(self, others: dict[int, dict[int, int]]) -> None:
        """Take in what other nodes have written, in place of what they had. Saying it again changes nothing."""
        self.others = others

    def forget(self, today: int) -> None:
        """Let go of what is more than a month away."""
        for runs in (self.own, self.others):
            for run, days in list(runs.items()):
                for day in [day for day in days if abs(today - day) >= DAYS]:
                    del days[day]
                if not days:
                    del runs[run]

    def _forget_small(self, but: int) -> None:
        """Let go of a quarter, so that a sender of ever new texts does not have all looked through at each."""
        runs = sorted(self.own, key=lambda run: (run == but, sum(self.own[run].values()), max(self.own[run])))
        for run in runs[: RUNS_AT_MOST // 4]:
            del self.own[run]


# --- what is stored ---------------------------------------------------------------------------------------------------


def load(connection: Connection, account_id: str, today: int, node: str) -> Drips:
    """Say what the store knows of an account's runs within the month."""
    return Drips(
        own=_read(connection, account_id, today, node, is_own=True),
        others=_read(connection, account_id, today, node, is_own=False),
    )


def of_others(connection: Connection, account_id: str, today: int, node: str) -> dict[int, dict[int, int]]:
    """Say what the other nodes have written of an account's runs."""
    return _read(connection, account_id, today, node, is_own=False)


def forget(connection: Connection, account_id: str) -> None:
    """Remove what is known of an erased account."""
    connection.execute(delete(COUNT_DAY).where(*_of(account_id)))


def _of(account_id: str) -> tuple[ColumnElement[bool], ...]:
    begin = f"{_PREFIX}{account_id}"
    name = COUNT_DAY.c.subject_id
    # An id that begins with another one and goes on has a longer name.
    return (name > f"{begin}_", name < f"{begin}{_END}", func.length(name) == len(subject(account_id, 0)))


def _read(connection: Connection, account_id: str, today: int, node: str, *, is_own: bool) -> dict[int, dict[int, int]]:
    day = COUNT_DAY.c.day
    query = select(COUNT_DAY.c.subject_id, day, COUNT_DAY.c.recipients).where(
        *_of(account_id),
        day > date.fromordinal(today - DAYS).isoformat(),
        COUNT_DAY.c.node == node if is_own else COUNT_DAY.c.node != node,
    )
    runs: dict[int, dict[int, int]] = {}
    for name, then, strangers in connection.execute(query):
        days = runs.setdefault(int(name[-16:], 16), {})
        ordinal = date.fromisoformat(then).toordinal()
        days[ordinal] = days.get(ordinal, 0) + strangers
    most = RUNS_AT_MOST if is_own else _OTHERS_AT_MOST
    kept = sorted(runs, key=lambda run: -sum(runs[run].values()))[:most]
    return {run: runs[run] for run in kept}
