"""The ledger's end of the link: a UNIX socket for workers, console and command line (mode 0660)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from filterd.errors import FilterdError, PeerError, RefusedError, UsageError
from filterd.ledger.batches import answers
from filterd.ledger.link import (
    OLDEST_PROTOCOL,
    check_hello,
    check_socket_path,
    error_head,
    frame,
    hello,
    read_body,
    read_frame,
    write_body,
)
from filterd.ledger.local import LocalLedger
from filterd.ledger.trace import where
from filterd.markers import reach
from filterd.model.standing import History
from filterd.ports import CountRequest

_log = logging.getLogger(__name__)

_SOCKET_MODE = 0o660
# Asked by workers only. People of the socket's group have verbs that ask for their token.
_OWN_VERBS = frozenset({"account_for", "count", "count_many", "decide", "hold_inbound", "object_by_mail"})
_HELLO_WITHIN_S = 5.0
# Requests of one client under way at once; more wait in its socket.
_IN_FLIGHT = 1000
# A client that reads so slowly is cut off; it forgets everything and comes back.
_UNREAD_BYTES = 64 * 1024 * 1024


class LinkServer:
    """Listens for the other processes of this node."""

    def __init__(self, ledger: LocalLedger, socket_path: Path):
        self._ledger = ledger
        self._path = socket_path
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leave: tuple[Callable[[], None], ...] = ()

    async def start(self) -> None:
        """Listen. Whoever holds the ledger holds its socket, so one that is already there is a dead one's."""
        check_socket_path(str(self._path))
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Before bind, so that the socket never has a wider mode.
        os.fchmod(listening.fileno(), _SOCKET_MODE)
        listening.bind(str(self._path))
        self._path.chmod(_SOCKET_MODE)
        engine = self._ledger.engine
        self._leave = (
            engine.follow(self._is_wanted),
            engine.on_history(self._push_history),
            engine.on_directory(self._push_directory),
            engine.on_weather(self._push_weather),
        )
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, backlog=128)

    async def close(self) -> None:
        """Stop listening, let requests under way end within a second, and hang up."""
        for leave in self._leave:
            leave()
        if self._server is not None:
            self._server.close()
        waiting = [task for client in self._clients for task in client.tasks]
        if waiting:
            await asyncio.wait(waiting, timeout=1.0)
        for client in set(self._clients):
            client.writer.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        client = _Client(self._ledger, reader, writer)
        self._clients.add(client)
        try:
            await client.converse()
        except (PeerError, UsageError, ConnectionError, TimeoutError) as err:
            _log.warning("ledger link: %s", err)
        finally:
            self._clients.discard(client)
            writer.close()

    def _is_wanted(self, account_id: str) -> bool:
        # On the ledger's thread: a copy, for clients come and go meanwhile.
        return any(account_id in client.wanted for client in tuple(self._clients))

    def _push_history(self, history: History) -> None:
        frame_ready: bytes | None = None
        for client in self._clients:
            if history.account_id in client.wanted:
                frame_ready = frame_ready or frame({"push": "history"}, write_body(history))
                client.send(frame_ready)

    def _push_weather(self, is_there: bool) -> None:
        for client in self._clients:
            # What it has is old then; what it wants it asks for again.
            client.wanted.clear()
            if client.version < 2:
                # It does not know the word: let it ask everything anew.
                client.writer.close()
                continue
            client.send(frame({"push": "back" if is_there else "away"}))

    def _push_directory(self, _: None) -> None:
        for client in self._clients:
            client.send(frame({"push": "directory"}))


class _Client:
    """One connection: whose histories it wants, and what it is waiting for."""

    def __init__(self, ledger: LocalLedger, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.writer = writer
        self.wanted: set[str] = set()
        self.version = OLDEST_PROTOCOL
        self.tasks: set[asyncio.Task[None]] = set()
        self._ledger = ledger
        self._reader = reader
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self._is_own = _uid(writer) in (0, os.getuid())

    def send(self, octets: bytes) -> None:
        transport = self.writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > _UNREAD_BYTES:
            transport.abort()
            return
        self.writer.write(octets)

    async def converse(self) -> None:
        """Answer until the client hangs up. Requests under way then end without an answer."""
        self.send(hello())
        async with asyncio.timeout(_HELLO_WITHIN_S):
            self.version = check_hello(await read_frame(self._reader))
        if not self._ledger.engine.is_store_there and self.version >= 2:
            self.send(frame({"push": "away"}))
        while (received := await read_frame(self._reader)) is not None:
            head, body = received
            if "forget" in head:
                self.wanted.difference_update(read_body(list[str], body))
                continue
            if not isinstance(head.get("id"), int) or not isinstance(head.get("verb"), str):
                raise PeerError("ledger link: neither a request nor anything else")
            await self._slots.acquire()
            task = asyncio.create_task(self._answer(head["id"], head["verb"], body))
            self.tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._slots.release()

    async def _answer(self, request_id: int, verb: str, body: bytes) -> None:
        try:
            if verb == "count_many":
                await self._count_many(request_id, body)
                return
            answer = frame({"id": request_id}, write_body(await self._result(verb, body)))
            reach("link.answering")
            self.send(answer)
        except Exception as err:
            _note(verb, err)
            with contextlib.suppress(ConnectionError):
                self.send(frame(error_head(request_id, err)))

    async def _count_many(self, request_id: int, body: bytes) -> None:
        self._check("count_many")
        requests = read_body(tuple[CountRequest, ...], body)
        async for part in answers(self._ledger.engine.counters, requests, partial(_note, "count")):
            self.send(frame({"id": request_id}, write_body(part)))

    def _check(self, verb: str) -> None:
        if verb in _OWN_VERBS and not self._is_own:
            raise RefusedError(f"{verb} is for filterd's own processes")

    async def _result(self, verb: str, body: bytes) -> Any:
        self._check(verb)
        match verb:
            case "history":
                account_id = str(read_body(None, body))
                # Wanted first: what is committed while we look is pushed, and what we say is never older than a push.
                self.wanted.add(account_id)
                history = await self._ledger.engine.history(account_id)
                # Once more: the store may have gone and come back meanwhile, which clears what is wanted.
                self.wanted.add(account_id)
                return history
            case "count":
                return await self._ledger.count(read_body(CountRequest, body))
            case "domain_owner":
                return await self._ledger.domain_owner(str(read_body(None, body)))
            case _:
                argument = read_body(self._ledger.verb(verb).request, body)
                if isinstance(argument, dict) and argument.get("as_root") and not self._is_own:
                    raise RefusedError("only root, or the user filterd runs as, acts without a person")
                return await self._ledger.perform(verb, argument)


def _note(verb: str, err: Exception) -> None:
    """Put what nobody raised on purpose into the service log."""
    if not isinstance(err, FilterdError):
        _log.error("ledger verb %r failed: %s", verb, where(err))


def _uid(writer: asyncio.StreamWriter) -> int:
    """Say who is at the other end of a UNIX socket (SO_PEERCRED: pid, uid, gid)."""
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", peer)[1])
