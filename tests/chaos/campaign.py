"""One campaign: mail flows, processes die one after the other, and everything is judged at the end."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import letters
from tests.chaos.aftermath import gather
from tests.chaos.desk import Desk
from tests.chaos.facts import Kill
from tests.chaos.oracle import Judgement, judge
from tests.chaos.phases import EVERYTHING, STARTING, Phase, phases
from tests.chaos.senders import CONNECTIONS, Senders
from tests.chaos.site import ChaosSite, Store
from tests.kit.waiting import PATIENCE_S, wait_until

# Crews of two connections each; Postfix has 20 processes a port.
_CREWS = 6
_STRANGERS = 0.05
# How long a place may be armed before it is given up for now: a token nobody takes tells of a path nobody went.
_PATIENCE_S = 60.0
_RARE_PATIENCE_S = 60.0
# For the last mails to be settled.
_END_PATIENCE_S = 600.0
# A start takes about so long.
_STARTING_S = 0.8
# Between two mails while one waits for such a place.
_RARE_PAUSE_S = 0.05
# So often a place that nobody reached in time is tried again.
_AGAIN_AT_MOST = 3
# A supervisor starts what dies again and again with a growing pause. After so many deaths of one of its children it is
# everybody's turn.
_DEATHS_AT_MOST = 2
_KIND_OF_WEATHER: tuple[dict[str, float], ...] = (
    {},
    {},
    {"slow_s": 0.2},
    {"drop": 0.01, "cut": 0.01},
    {"refuse": 0.03},
    {"slow_s": 0.1, "drop": 0.01, "cut": 0.01, "refuse": 0.02},
)


@dataclass(kw_only=True)
class Outcome:
    """What one campaign did and what came of it."""

    store: str
    workers: int
    seconds: float
    kills: list[Kill]
    missed: Counter[str] = field(default_factory=Counter)
    ways: tuple[Phase, ...] = ()
    servers: dict[str, str] = field(default_factory=dict)
    judgement: Judgement = field(default_factory=Judgement)

    @property
    def killed(self) -> Counter[str]:
        return Counter(kill.phase.name for kill in self.kills)


def run(
    *,
    store: Store,
    workers: int,
    mails: int,
    kills: int,
    seed: str,
    minutes: float | None = None,
    ways: Callable[[Phase], bool] = lambda _: True,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run a campaign.

    Args:
        mails: how many at least; whole scripts of accounts are sent.
        minutes: no kill is begun later; the mails begun by then are finished and judged.
        ways: which phases to kill in; all by default. Everything at once comes by itself.
    """
    dice = random.Random(seed)
    accounts = -(-mails // letters.mails_an_account())
    scripts = [letters.script(number, dice) for number in range(accounts)]
    strangers = list(letters.strangers(int(mails * _STRANGERS), dice))
    chosen = tuple(phase for phase in phases(workers=workers, store=store) if ways(phase))
    logins = tuple(letters.login_of(number) for number in range(accounts))
    with ChaosSite(logins=logins, store=store, workers=workers) as site:
        begun = time.monotonic()
        site.node.start()
        desk = Desk(site.node)
        desk.open()
        senders = Senders(crews=_CREWS, submission=site.ports.submission, mx=site.ports.mx)
        campaign = Campaign(site=site, senders=senders, dice=dice, ways=chosen, say=say)
        until = None if minutes is None else begun + minutes * 60
        senders.start(scripts, strangers)
        campaign.kill_all(kills, mails=len(letters.of_accounts(scripts)) + len(strangers), until=until)
        if until is not None and time.monotonic() > until:
            senders.stop()
        campaign.finish()
        after = gather(site, desk.close())
        judgement = judge(senders.begun, senders.tries, site.copies(), campaign.kills, after)
        judgement.broken += senders.trouble + campaign.trouble + desk.trouble
        return Outcome(
            store=store,
            workers=workers,
            seconds=time.monotonic() - begun,
            kills=campaign.kills,
            missed=campaign.missed,
            ways=chosen,
            servers=site.versions(),
            judgement=judgement,
        )


@dataclass(kw_only=True)
class Campaign:
    """Who kills."""

    site: ChaosSite
    senders: Senders
    dice: random.Random
    ways: tuple[Phase, ...]
    say: Callable[[str], None]
    kills: list[Kill] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)
    _number: int = 0
    _again: list[Phase] = field(default_factory=list)
    # Of each role, since the node was last started.
    _deaths: Counter[str] = field(default_factory=Counter)

    def kill_all(self, kills: int, *, mails: int, until: float | None) -> None:
        """Kill so many times while so many mails are sent, in every way equally often, in an order without pattern."""
        ways = self._order()
        # Some are left for the time after the last kill.
        pile = mails / (kills + 1)
        while len(self.kills) < kills and not self.senders.is_done:
            if until is not None and time.monotonic() > until:
                return
            done = len(self.kills)
            self.senders.allow(int(pile * (done + 1)) + CONNECTIONS)
            self._wait_settled(pile * done)
            self.site.set_weather(**self.dice.choice(_KIND_OF_WEATHER))
            phase = self._everything if self._deaths and max(self._deaths.values()) >= _DEATHS_AT_MOST else next(ways)
            if phase.place is not None:
                self._kill_at(phase)
            else:
                self._kill_any_time(phase)
            self._revive()
            if len(self.kills) % 25 == 0 and len(self.kills) > done:
                self.say(f"{len(self.kills)} kills, {self.senders.settled} mails")

    def finish(self) -> None:
        """Let everything under way come to its end, in good weather, and nobody die any more."""
        self.site.set_weather()
        self.senders.allow(sys.maxsize)
        if not self.senders.wait(_END_PATIENCE_S):
            self.trouble.append(f"some senders have not ended within {_END_PATIENCE_S:g} s")

    @property
    def _everything(self) -> Phase:
        return Phase(name=EVERYTHING, role="all")

    def _order(self) -> Iterator[Phase]:
        while True:
            turn = list(self.ways)
            self.dice.shuffle(turn)
            yield from turn
            while self._again:
                yield self._again.pop()

    def _wait_settled(self, count: float) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.senders.settled < count and not self.senders.is_done and time.monotonic() < deadline:
            time.sleep(0.005)

    # --- the two ways to kill -----------------------------------------------------------------------------------------

    def _kill_at(self, phase: Phase) -> None:
        """Arm a place and wait until somebody has died there."""
        self._number += 1
        token = self.site.plan / phase.token(self._number)
        # The passes to let by first: the process dies with others' mail in other places.
        if not phase.is_rare and (passes := self.dice.choice((1, 1, 2, 3))) > 1:
            token = token.with_name(f"{token.name}:{passes}")
        token.touch()
        began = time.monotonic()
        patience_s = _RARE_PATIENCE_S if phase.is_rare else _PATIENCE_S
        while time.monotonic() - began < patience_s and not self.senders.is_done:
            done = next(self.site.plan.glob(f"~{self._number:06}+*"), None)
            if done is not None:
                self._note_at(phase, done)
                done.unlink()
                return
            # Whoever is to die must have something to do.
            if phase.is_rare:
                self.senders.allow(len(self.senders.begun) + 1)
                time.sleep(_RARE_PAUSE_S)
            else:
                self.senders.allow(len(self.senders.begun) + CONNECTIONS * _CREWS)
                time.sleep(0.005)
        for left in self.site.plan.glob(f"{self._number:06}+*"):
            left.unlink(missing_ok=True)
        if (done := next(self.site.plan.glob(f"~{self._number:06}+*"), None)) is not None:
            self._note_at(phase, done)
            done.unlink()
            return
        self.missed[phase.name] += 1
        if self.missed[phase.name] <= _AGAIN_AT_MOST:
            self._again.append(phase)

    def _kill_any_time(self, phase: Phase) -> None:
        time.sleep(self.dice.uniform(0, 0.1))
        node, since = self.site.node, time.time()
        match phase.role:
            case "ledger" | "worker":
                node.kill_child(phase.role)
            case "supervisor":
                node.kill_supervisor()
            case "postgresql":
                self._end_postgresql(phase)
            case "all":
                node.kill()
                if phase.name == STARTING:
                    self._note(self._everything, since, time.time())
                    node.begin()
                    time.sleep(self.dice.uniform(0, _STARTING_S))
                    since = time.time()
                    node.kill()
        self._note(phase, since, time.time())

    def _end_postgresql(self, phase: Phase) -> None:
        postgres = self.site.postgres
        assert postgres is not None
        match phase.name.rpartition(" ")[2]:
            case "crash":
                postgres.crash()
            case "kill":
                postgres.kill()
            case _:
                postgres.restart()
                return
        # Sometimes long enough to be noticed by everybody.
        time.sleep(self.dice.choice((0.0, 0.0, 1.0)))
        postgres.start()

    def _note_at(self, phase: Phase, token: Path) -> None:
        # Renamed just before it died: the change of the inode is the hour of death.
        at = token.stat().st_ctime
        self._note(phase, at, at)

    def _note(self, phase: Phase, at: float, until: float) -> None:
        took_all = phase.role in ("all", "supervisor") or (self.site.workers == 0 and phase.role != "postgresql")
        self.kills.append(Kill(at=at, until=until, phase=phase, took_all=took_all))
        if phase.role in ("ledger", "worker"):
            self._deaths[phase.role] += 1

    def _revive(self) -> None:
        """Start the node again when all of it is gone."""
        node = self.site.node
        last = self.kills[-1] if self.kills else None
        if last is not None and last.took_all and last.phase.place is not None and self.site.workers == 0:
            wait_until(lambda: not node.is_running, "who killed itself is dead")
        if not node.is_running:
            node.kill()
            node.start()
            self._deaths.clear()
