"""The rows of a ledger that is running, over its socket: what `ledger verify` and `ledger dump` read.

`ledger_rows` is the ledger's half, a verb like those of `pipeline.review`: the composition root offers it as
`ledger.rows`. The rows are those of a dump: whole, sealed fields sealed, so that the chain can be walked from outside.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from filterd.errors import PeerError
from filterd.ledger.chain import Row
from filterd.ledger.codec import Undecodable
from filterd.ledger.dump import read_dump, write_dump
from filterd.ledger.verify import page
from filterd.ports import LedgerTxn

if TYPE_CHECKING:
    from filterd.ledger.remote import RemoteLedger
    from filterd.ledger.txn import Txn

VERB = "ledger.rows"
# A page is read inside a transaction: short, so that mail need not wait for it.
_AT_ONCE = 500


def ledger_rows(txn: LedgerTxn, arguments: Mapping[str, Any]) -> list[str]:
    """Say the next rows after (`writer`, `seq`) as lines of a dump; begin with "" and 0."""
    found = page(cast("Txn", txn).connection, str(arguments["writer"]), int(arguments["seq"]), _AT_ONCE)
    return [line.decode("ascii") for line in write_dump(found)]


async def running_rows(ledger: RemoteLedger) -> AsyncIterator[Row]:
    """Say every row of a running ledger, by writer and seq. Raises PeerError for what is no dump."""
    writer, seq = "", 0
    while lines := await ledger.call(VERB, {"writer": writer, "seq": seq}):
        try:
            for row in read_dump(str(line).encode() for line in lines):
                yield row
                writer, seq = str(row.writer), int(str(row.seq))
        except (Undecodable, ValueError) as err:
            raise PeerError(f"the ledger sent a row that cannot be read: {err}") from err
