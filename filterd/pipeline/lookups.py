"""Who has this login, by the operator's own directory?  ops/docs/DIRECTORY.md, ops/decisions/0015-directory.md.

Stands before the ledger's verb `account_for`, in the ledger process. Known and fresh: as the ledger says. Unknown or
stale: the sources are asked, outside every transaction and once for all who wait, and what they say is written down in
one ledger function. A login that mail merely names, in From for instance, is never asked about unless it is known.

    the sources are away         what is known goes on, what is not does as `when_away` says
    no source has the login      what is known goes on, what is not does as `unknown` says
    what one says is unclear     as if it were away, for this login alone

Temporary: LedgerUnavailable where mail has to wait. After a failure nobody is asked about for a few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, Protocol, TypeVar

from filterd.errors import LedgerUnavailable, PortError, UsageError
from filterd.log import service_log
from filterd.metrics import observe_trouble
from filterd.model.about import EVERYTHING, NOTHING, About
from filterd.model.directory import DirectoryFacts
from filterd.pipeline.directory_plan import DirectoryPlan, plan_facts
from filterd.pipeline.directory_rows import write_account, write_leaving, write_tenant
from filterd.pipeline.locking import of_login
from filterd.pipeline.registration import Screening, has_come
from filterd.pipeline.verbs import AccountQuery, DeskRules, MailVerbs
from filterd.ports import AccountRef, Clock, DirectorySource, LedgerTxn

T = TypeVar("T")

# What is remembered about logins that are not there; the oldest is forgotten first.
_UNKNOWN_AT_MOST = 50_000
# A plan is made before its subjects are locked, and again after; somebody may write in between.
_TRIES = 4


class Submit(Protocol):
    """LedgerEngine.submit."""

    async def __call__(self, function: Callable[[LedgerTxn], T], about: About = EVERYTHING) -> T: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupRules:
    """The operator's choices; see `[directory]`."""

    refresh_s: float = 900
    unknown_s: float = 60
    pause_s: float = 5
    when_away: Literal["defer", "first_mail"] = "defer"
    unknown: Literal["first_mail", "nobody", "defer"] = "first_mail"


class _Told(Enum):
    KNOWN = "known"
    UNKNOWN = "unknown"
    AWAY = "away"


class DirectoryLookups:
    """The sources, in the order they are asked: the first that has a login is believed. Belongs to one event loop."""

    def __init__(
        self,
        sources: Sequence[DirectorySource],
        submit: Submit,
        desk: DeskRules,
        clock: Clock,
        rules: LookupRules,
    ):
        self._sources, self._submit, self._clock, self._rules = tuple(sources), submit, clock, rules
        self.go_by(desk)
        self._flights: dict[str, asyncio.Task[_Told]] = {}
        self._unknown: dict[str, tuple[_Told, float]] = {}
        self._away_until = 0.0
        self._is_away = False

    def go_by(self, desk: DeskRules) -> None:
        """Take other agreements, after a reload."""
        self._desk, self._mail = desk, MailVerbs(desk)

    async def account_for(self, given: Mapping[str, Any]) -> AccountRef | None:
        """Find the account of a canonical login, as the verb of that name does: {login, may_create}.

        Raises LedgerUnavailable when mail has to wait.
        """
        query = AccountQuery(**given)
        known = await self._find(query.login)
        if known is None and not query.may_create:
            return None
        if known is not None and (left_s := self._fresh_for_s(known)) > 0:
            return replace(known, keep_s=left_s)
        told = await self._ask_once(query.login)
        if told is _Told.KNOWN:
            known = await self._find(query.login)
            return None if known is None else replace(known, keep_s=self._rules.refresh_s)
        keep_s = self._rules.unknown_s if told is _Told.UNKNOWN else self._rules.pause_s
        if known is None and query.may_create:
            known = await self._stranger(query, told)
        return None if known is None else replace(known, keep_s=keep_s)

    async def close(self) -> None:
        for flight in self._flights.values():
            flight.cancel()
        await asyncio.gather(*self._flights.values(), return_exceptions=True)
        for source in self._sources:
            await source.close()

    # --- what is known ------------------------------------------------------------------------------------------------

    async def _find(self, login: str) -> AccountRef | None:
        return await self._submit(lambda txn: txn.find_account(login), NOTHING)

    def _fresh_for_s(self, known: AccountRef) -> float:
        """Say for how many seconds what is known need not be asked for again. A clock set back makes nothing fresh."""
        if known.refreshed_at is None:
            return 0.0
        age_s = (self._clock.now() - known.refreshed_at).total_seconds()
        return self._rules.refresh_s - age_s if 0 <= age_s < self._rules.refresh_s else 0.0

    async def _stranger(self, query: AccountQuery, told: _Told) -> AccountRef | None:
        """Say what becomes of a login that neither we nor the sources know."""
        wanted = self._rules.unknown if told is _Told.UNKNOWN else self._rules.when_away
        match wanted:
            case "first_mail":
                about = of_login({"login": query.login, "may_create": True})
                return await self._submit(lambda txn: self._mail.account_for(txn, query), about)
            case "nobody":
                return None
            case "defer":
                raise LedgerUnavailable("the operator's directory cannot say whose login this is")

    # --- asking -------------------------------------------------------------------------------------------------------

    async def _ask_once(self, login: str) -> _Told:
        """Ask the sources, together with whoever else waits for the same login."""
        flight = self._flights.get(login)
        if flight is None:
            flight = asyncio.create_task(self._ask(login))
            self._flights[login] = flight
            flight.add_done_callback(lambda task: self._landed(login, task))
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(flight)

    def _landed(self, login: str, flight: asyncio.Task[_Told]) -> None:
        self._flights.pop(login, None)
        # Looked at, so that an error is not complained of where everybody has given up waiting.
        if not flight.cancelled():
            flight.exception()

    async def _ask(self, login: str) -> _Told:
        told, until_s = self._unknown.get(login, (_Told.UNKNOWN, 0.0))
        if time.monotonic() < until_s:
            return told
        if time.monotonic() < self._away_until:
            return _Told.AWAY
        try:
            facts = await self._facts(login)
            if facts is None:
                return self._remember(login, _Told.UNKNOWN)
            await self._take(login, facts)
        except LedgerUnavailable:
            raise
        except (PortError, UsageError) as err:
            if isinstance(err, PortError) and err.temporary:
                self._pause(err)
                return _Told.AWAY
            observe_trouble("directory")
            service_log().error("directory_unclear", error=str(err))
            return self._remember(login, _Told.AWAY)
        self._unknown.pop(login, None)
        return _Told.KNOWN

    async def _facts(self, login: str) -> DirectoryFacts | None:
        """Say what the first source says that has the login. Raises PortError: whom we cannot ask may be the one."""
        for source in self._sources:
            facts = await source.look_up(login)
            if self._is_away:
                self._is_away = False
                service_log().warning("directory_back", source=source.name)
            if facts is not None:
                return await self._named(source, login, facts)
        return None

    async def _named(self, source: DirectorySource, asked: str, facts: DirectoryFacts) -> DirectoryFacts:
        """Say which login is the account's own, where the source does not: the one we know, while it leads there still.

        Without this every alias would rename the account.
        """
        if facts.login is not None or facts.external_id is None:
            return facts
        plan = await self._submit(lambda txn: plan_facts(txn, self._desk, asked, facts), NOTHING)
        if plan.renamed_from is None:
            return facts
        former = await source.look_up(plan.renamed_from)
        is_alias = former is not None and former.external_id == facts.external_id
        return replace(facts, login=plan.renamed_from) if is_alias else facts

    def _pause(self, error: PortError) -> None:
        self._away_until = time.monotonic() + self._rules.pause_s
        observe_trouble("directory")
        if not self._is_away:
            service_log().error("directory_away", error=str(error))
        self._is_away = True

    def _remember(self, login: str, told: _Told) -> _Told:
        self._unknown.pop(login, None)
        self._unknown[login] = (told, time.monotonic() + self._rules.unknown_s)
        if len(self._unknown) > _UNKNOWN_AT_MOST:
            del self._unknown[next(iter(self._unknown))]
        return told

    # --- writing down -------------------------------------------------------------------------------------------------

    async def _take(self, login: str, facts: DirectoryFacts) -> None:
        """Write down what the source says. Raises what the ledger raises."""
        plan = await self._submit(lambda txn: plan_facts(txn, self._desk, login, facts), NOTHING)
        for number in range(_TRIES):
            about = plan.about if number < _TRIES - 1 else EVERYTHING
            plan, is_done = await self._submit(_taking(self._desk, login, facts, about), about)
            if is_done:
                break
        if plan.odd or facts.unreadable:
            account_id = plan.accounts[-1][1].account_id
            odd = (*plan.odd, *facts.unreadable)
            service_log().warning("directory_odd", source=facts.source, account_id=account_id, odd=odd)


def _taking(
    desk: DeskRules, login: str, facts: DirectoryFacts, about: About
) -> Callable[[LedgerTxn], tuple[DirectoryPlan, bool]]:
    """Make the ledger function: plan again now that it is locked, and carry it out if the plan needs no other locks."""

    def take(txn: LedgerTxn) -> tuple[DirectoryPlan, bool]:
        plan = plan_facts(txn, desk, login, facts)
        if not about.is_everything and not plan.about.names <= about.names:
            return plan, False
        carry_out(txn, plan, desk, by=f"directory:{facts.source}")
        for account_id in {plan.accounts[-1][1].account_id, _id_of(txn, login)} - {None}:
            txn.note_refreshed(str(account_id))
        return plan, True

    return take


def carry_out(txn: LedgerTxn, plan: DirectoryPlan, rules: DeskRules, *, by: str) -> None:
    """Write a plan down, with a row for everything that changes. A tenant that has come back is held (TX-8.2.4)."""
    screening = Screening(txn, rules)
    for tenant_before, tenant in plan.tenants:
        write_tenant(txn, tenant_before, tenant, by=by, source=by)
        if has_come(tenant_before, tenant):
            screening.screen(tenant)
    for leaving in plan.leaving:
        write_leaving(txn, leaving, by=by)
    for before, account in plan.accounts:
        write_account(txn, before, account, by=by, source=by)


def _id_of(txn: LedgerTxn, login: str) -> str | None:
    found = txn.find_account(login)
    return found.account_id if found is not None else None
