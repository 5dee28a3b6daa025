"""Asking the running ledger, over its socket, as everybody else does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from filterd.cli.places import socket_of
from filterd.errors import LedgerUnavailable

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.ledger.remote import RemoteLedger

# The socket is on this machine: a ledger that takes longer to say hello is not well. A machine may stand still for some
# seconds, and a ledger that died is back within them.
CONNECT_WITHIN_S = 10.0
ANSWER_WITHIN_S = 30.0


@asynccontextmanager
async def connected(config: Config, *, answer_within_s: float = ANSWER_WITHIN_S) -> AsyncIterator[RemoteLedger]:
    """Hold a connection to the ledger. Raises LedgerUnavailable, saying what to do."""
    from filterd.ledger.remote import RemoteLedger

    path = socket_of(config)
    ledger = RemoteLedger(path, deadline_s=answer_within_s)
    if not path.exists():
        raise LedgerUnavailable(f"{path}: no ledger listens here; is `filterd serve` running with this state_dir?")
    try:
        await ledger.start(wait_s=CONNECT_WITHIN_S)
        yield ledger
    finally:
        await ledger.close()


def ask(config: Config, verb: str, *, answer_within_s: float = ANSWER_WITHIN_S, **arguments: Any) -> Any:
    """Have the ledger do one thing; arguments that are None are left out."""

    # Imported where it is used, here and in the other commands: it costs more than `--help` takes.
    import asyncio

    async def go() -> Any:
        async with connected(config, answer_within_s=answer_within_s) as ledger:
            return await ledger.call(verb, {name: value for name, value in arguments.items() if value is not None})

    return asyncio.run(go())
