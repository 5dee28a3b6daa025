"""ports.Ledger at the other end of the link: in workers, console and command line.

Connects, and connects again with growing pauses, by itself. While there is no connection everything raises
LedgerUnavailable at once, and no history is remembered: a suspension imposed meanwhile would not be known. A request
cut off half-way may have been carried out; every verb stands a repetition.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filterd.errors import LedgerUnavailable, PeerError, UsageError
from filterd.ledger.batches import CountAnswer, CountBatches
from filterd.ledger.copies import DirectoryCopies
from filterd.ledger.last_words import TRUSTED_S, LastWords
from filterd.ledger.link import (
    OLDEST_PROTOCOL,
    check_hello,
    check_socket_path,
    frame,
    hello,
    raise_error,
    read_body,
    read_frame,
    write_body,
)
from filterd.ledger.trace import where
from filterd.model.decision import Case, Counts, Decision
from filterd.model.held import InboundHold
from filterd.model.standing import History
from filterd.ports import AccountRef, CountRequest

_log = logging.getLogger(__name__)

DEADLINE_S = 10.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_HELLO_WITHIN_S = 5.0
_HISTORIES_AT_MOST = 100_000


class RemoteLedger:
    """The ledger over its socket. `start` it inside the event loop that uses it."""

    def __init__(self, socket_path: Path, *, deadline_s: float = DEADLINE_S, trusted_s: float = TRUSTED_S):
        check_socket_path(str(socket_path))
        self._path = socket_path
        self._deadline_s = deadline_s
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[str, str, asyncio.Future[tuple[dict[str, Any], bytes]]]] = {}
        self._histories: OrderedDict[str, History] = OrderedDict()
        self._copies = DirectoryCopies()
        self._last = LastWords(trusted_s)
        self._counts = CountBatches(self._send_counts)
        self._writer: asyncio.StreamWriter | None = None
        self._version = OLDEST_PROTOCOL
        self._connected = asyncio.Event()
        self._why = "not started"
        self._task: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        return self._writer is not None

    async def start(self, *, wait_s: float = 0.0) -> None:
        """Begin to connect; wait at most `wait_s` for the first success. Raises LedgerUnavailable when that passes."""
        if self._task is None:
            self._task = asyncio.create_task(self._stay_connected())
        if wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._connected.wait()
            except TimeoutError as err:
                raise self._unavailable() from err

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    # --- ports.Ledger ---------------------------------------------------------------------------------------------

    async def account_for(self, login: str, *, may_create: bool) -> AccountRef | None:
        async def ask() -> AccountRef | None:
            arguments = {"login": login, "may_create": may_create}
            found: AccountRef | None = self._read(AccountRef | None, await self._ask("account_for", arguments))
            return found

        account = await self._copies.account(login, ask)
        if account is not None:
            self._last.note(login, account)
        return account

    def last_word(self, login: str) -> tuple[AccountRef, History] | None:
        return self._last.of(login)

    def last_history(self, subject_id: str) -> History | None:
        return self._last.history(subject_id)

    async def history(self, account_id: str) -> History:
        known = self._histories.get(account_id)
        if known is not None:
            self._histories.move_to_end(account_id)
            return known
        history: History = self._read(History, await self._ask("history", account_id, about=account_id))
        return self._histories.get(account_id, history)

    async def count(self, request: CountRequest) -> Counts:
        if self._writer is None:
            raise self._unavailable()
        if self._version < 2:
            # It does not know the word.
            counts: Counts = self._read(Counts, await self._ask("count", request))
            return counts
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._counts.count(request)
        except TimeoutError as err:
            raise LedgerUnavailable(f"{self._path}: no answer to 'count' in {self._deadline_s:g} s") from err

    def _send_counts(self, requests: tuple[CountRequest, ...]) -> int:
        if self._writer is None:
            raise self._unavailable()
        request_id = next(self._ids)
        self._writer.write(frame({"id": request_id, "verb": "count_many"}, write_body(requests)))
        return request_id

    async def decide(self, case: Case) -> Decision:
        decision: Decision = self._read(Decision, await self._ask("decide", case))
        return decision

    async def hold_inbound(self, given: InboundHold) -> str | None:
        item_id: str | None = self._read(str | None, await self._ask("hold_inbound", given))
        return item_id

    async def domain_owner(self, domain: str) -> str | None:
        async def ask() -> str | None:
            found: str | None = self._read(str | None, await self._ask("domain_owner", domain))
            return found

        return await self._copies.owner(domain, ask)

    async def object_by_mail(self, account_id: str, transaction_id: str, tenant_id: str | None = None) -> None:
        who = {"account_id": account_id, "tenant_id": tenant_id}
        await self._ask("object_by_mail", {**who, "transaction_id": transaction_id})

    async def call(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        return self._read(None, await self._ask(verb, dict(arguments)))

    # --- requests -------------------------------------------------------------------------------------------------

    async def _ask(self, verb: str, argument: Any, *, about: str = "") -> bytes:
        """Send a request and wait for the body of its answer. Raises what the ledger raised, or LedgerUnavailable."""
        if self._writer is None:
            raise self._unavailable()
        request_id = next(self._ids)
        answer: asyncio.Future[tuple[dict[str, Any], bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = (verb, about, answer)
        try:
            self._writer.write(frame({"id": request_id, "verb": verb}, write_body(argument)))
            async with asyncio.timeout(self._deadline_s):
                head, body = await answer
        except TimeoutError as err:
            raise LedgerUnavailable(f"{self._path}: no answer to {verb!r} in {self._deadline_s:g} s") from err
        finally:
            self._waiting.pop(request_id, None)
        raise_error(verb, head)
        return body

    def _read(self, kind: Any, body: bytes) -> Any:
        try:
            return read_body(kind, body)
        except UsageError as err:
            raise PeerError(f"{self._path}: {err}") from err

    def _unavailable(self) -> LedgerUnavailable:
        return LedgerUnavailable(f"{self._path}: {self._why}")

    # --- the connection -------------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if await self._converse():
                    pause_s = _FIRST_PAUSE_S
                self._why = "the ledger hung up"
            except (OSError, PeerError, TimeoutError) as err:
                self._why = str(err) or type(err).__name__
            except Exception as err:
                self._why = "the ledger's answers make no sense"
                _log.error("ledger link: %s", where(err))
            finally:
                self._drop()
            # Spread, so that all workers do not come back at the same instant.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _converse(self) -> bool:
        """Hold one connection until it ends; True when it had begun well."""
        reader, writer = await asyncio.open_unix_connection(str(self._path))
        try:
            writer.write(hello())
            async with asyncio.timeout(_HELLO_WITHIN_S):
                self._version = check_hello(await read_frame(reader))
            self._last.come_back()
            self._writer = writer
            self._connected.set()
            while (received := await read_frame(reader)) is not None:
                self._take(*received)
            return True
        finally:
            writer.close()

    def _take(self, head: dict[str, Any], body: bytes) -> None:
        """Take one frame. Histories are remembered here and not by whoever asked, so that the order is the ledger's."""
        match head.get("push"):
            case "history":
                history: History = self._read(History, body)
                if history.account_id in self._histories:
                    self._histories[history.account_id] = history
                return
            case "directory":
                self._copies.forget()
                return
            case "away":
                # The ledger process is there, and its database is not: it refuses what we would ask it for.
                _log.warning("the ledger's database is away; standing is enforced as it was")
                self._go_away()
                return
            case "back":
                _log.warning("the ledger's database is back")
                self._histories.clear()
                self._last.come_back()
                return
        verb, about, answer = self._waiting.get(head.get("id", 0), ("", "", None))
        if verb == "history" and "error" not in head:
            self._remember(about, self._read(History, body))
        if answer is None:
            self._take_counts(head, body)
        elif not answer.done():
            answer.set_result((head, body))

    def _take_counts(self, head: dict[str, Any], body: bytes) -> None:
        number = head.get("id", 0)
        if self._counts.awaits(number):
            found = () if "error" in head else self._read(tuple[CountAnswer, ...], body)
            self._counts.take(number, head, found)

    def _remember(self, account_id: str, history: History) -> None:
        self._histories[account_id] = history
        if len(self._histories) > _HISTORIES_AT_MOST and self._writer is not None:
            forgotten = [self._histories.popitem(last=False)[0] for _ in range(_HISTORIES_AT_MOST // 100)]
            self._writer.write(frame({"forget": True}, write_body(forgotten)))

    def _go_away(self) -> None:
        self._last.go_away(self._histories)
        self._histories = OrderedDict()
        self._copies.forget()

    def _drop(self) -> None:
        self._writer = None
        self._connected.clear()
        self._go_away()
        for _, _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LedgerUnavailable(f"{self._path}: the connection broke"))
        self._counts.drop(lambda: LedgerUnavailable(f"{self._path}: the connection broke"))
