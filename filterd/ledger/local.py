"""ports.Ledger inside the ledger process: no socket, the same verbs."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from filterd.errors import LedgerUnavailable, UsageError
from filterd.ledger.codec import plain
from filterd.ledger.copies import DirectoryCopies
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.last_words import TRUSTED_S, LastWords
from filterd.ledger.link import Verb, Verbs, read_body, write_body
from filterd.markers import reach
from filterd.model.about import NOTHING
from filterd.model.decision import Case, Counts, Decision
from filterd.model.held import InboundHold
from filterd.model.standing import History
from filterd.ports import AccountRef, CountRequest, LedgerTxn

_SAID_AT_MOST = 100_000


class LocalLedger:
    """The ledger, asked directly.

    `verbs` needs `account_for` ({login, may_create} → AccountRef | None), `decide` (Case → Decision) and
    `object_by_mail` ({account_id, transaction_id} → anything); all others are reached by `call`. Made inside the event
    loop that uses it.
    """

    def __init__(self, engine: LedgerEngine, verbs: Verbs, *, trusted_s: float = TRUSTED_S):
        self.engine = engine
        self._verbs = dict(verbs)
        self._copies = DirectoryCopies()
        # Where nobody else writes, what was said here is never old.
        self._last = LastWords(trusted_s if engine.has_neighbours else math.inf)
        engine.on_directory(lambda _: self._copies.forget())
        engine.on_weather(self._weather)
        # What was said of each account: what is warm in the engine goes with the first group that fails.
        self._said: OrderedDict[str, History] = OrderedDict()
        engine.follow(self._said_of)
        engine.on_history(self._take)
        if not engine.has_neighbours:
            self._last.go_away(self._said)

    async def account_for(self, login: str, *, may_create: bool) -> AccountRef | None:
        async def ask() -> AccountRef | None:
            found: AccountRef | None = await self.perform("account_for", {"login": login, "may_create": may_create})
            return found

        if not self.engine.is_store_there:
            raise LedgerUnavailable("the ledger's database is away")
        account = await self._copies.account(login, ask)
        if account is not None:
            self._last.note(login, account)
        return account

    def last_word(self, login: str) -> tuple[AccountRef, History] | None:
        return self._last.of(login)

    def last_history(self, subject_id: str) -> History | None:
        return self._last.history(subject_id)

    def _weather(self, is_there: bool) -> None:
        if is_there:
            self._copies.forget()
            self._said.clear()
            self._last.come_back()
        else:
            self._last.go_away(self._said)

    def _said_of(self, account_id: str) -> bool:
        return account_id in self._said

    def _take(self, history: History) -> None:
        if history.account_id in self._said:
            self._said[history.account_id] = history

    async def history(self, account_id: str) -> History:
        history = await self.engine.history(account_id)
        self._said[account_id] = history
        self._said.move_to_end(account_id)
        if len(self._said) > _SAID_AT_MOST:
            self._said.popitem(last=False)
        return history

    async def count(self, request: CountRequest) -> Counts:
        return await self.engine.counters.count(request)

    async def decide(self, case: Case) -> Decision:
        decision: Decision = await self.perform("decide", case)
        return decision

    async def hold_inbound(self, given: InboundHold) -> str | None:
        item_id: str | None = await self.perform("hold_inbound", given)
        return item_id

    async def domain_owner(self, domain: str) -> str | None:
        return await self._copies.owner(domain, lambda: self.engine.submit(lambda txn: _owner(txn, domain), NOTHING))

    async def object_by_mail(self, account_id: str, transaction_id: str, tenant_id: str | None = None) -> None:
        who = {"account_id": account_id, "tenant_id": tenant_id}
        await self.perform("object_by_mail", {**who, "transaction_id": transaction_id})

    async def call(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        request = self.verb(verb).request
        argument = dict(arguments) if request is None else read_body(request, write_body(arguments))
        return plain(await self.perform(verb, argument))

    async def perform(self, verb: str, argument: Any) -> Any:
        """Run a verb on nouns. Raises what it raises."""
        known = self.verb(verb)
        reach("ledger.asked")
        if known.outside is not None:
            return await known.outside(argument)
        return await self.engine.submit(lambda txn: known.run(txn, argument), known.about(argument))

    def verb(self, name: str) -> Verb:
        """Find a verb. Raises UsageError for an unknown one."""
        found = self._verbs.get(name)
        if found is None:
            raise UsageError(f"the ledger knows no verb {name!r}")
        return found


def _owner(txn: LedgerTxn, domain: str) -> str | None:
    """Say whose a domain is. That mail came from a login below a domain somebody has declared takes it from nobody."""
    tenant = txn.tenant_of_domain(domain)
    if tenant is None or tenant.domains_declared:
        return tenant.tenant_id if tenant is not None else None
    labels = domain.split(".")
    for start in range(1, len(labels) - 1):
        above = txn.tenant_of_domain(".".join(labels[start:]))
        if above is not None and above.domains_declared:
            return above.tenant_id
    return tenant.tenant_id
