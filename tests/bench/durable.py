"""How many durable decisions a second?  `python -m tests.bench --durable [--decisions N] [--rounds N]`.

A decision is the real thing: a sealed copy of the mail, fold, incident, strike, ladder, entries, counted recipients,
promised notice, evidence in the vault, all on disk before the answer. Beside it, in turn in one run and on the same
disk, a bare loop that inserts one row a commit under the same settings (SQLite: the ledger's own pragmas; PostgreSQL:
synchronous_commit). The ratio says what the ledger adds to the disk's own time; `a commit` shows the group commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from filterd import app
from filterd.agreement.fold import apply
from filterd.clients.clock import SystemClock
from filterd.clients.keys import derive
from filterd.config import Config
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.local import LocalLedger
from filterd.model.decision import Case, MailFacts
from filterd.model.ids import random_id
from filterd.model.principal import Account, Basis, Principal, Strength, Tenant
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, Finding, Outcome, Verdict
from filterd.ports import LedgerTxn
from tests.kit.postgres import Postgres

KEYS = derive(bytes(range(32)))
AT_ONCE = 64
_MAIL = b"Subject: x\r\n\r\n" + b"A line of some mail, sixty-four octets long with its line end..\r\n" * 60


@dataclass
class Row:
    """One row of the table: decisions a second by round, and functions a commit."""

    name: str
    rates: list[float]
    a_commit: float = 1.0


class Bench:
    """One store with its decisions."""

    def __init__(self, folder: Path, url: str | None, names: tuple[str, ...] = ("node1",)):
        self.config = Config()
        self.agreements = app.load_agreements(self.config)
        self.terms = self.agreements[self.config.agreement.default]
        rules = app.desk_rules(self.config, self.agreements)
        self.engines = [
            LedgerEngine.open(
                state_dir=folder / name,
                node=name,
                keys=KEYS,
                clock=SystemClock(),
                apply=lambda history, record, _: apply(history, record),
                url=url,
            )
            for name in names
        ]
        self.count = 0
        self._verbs = app.verbs(rules)
        self.accounts: list[str] = []

    async def people(self, count: int) -> None:
        """Bring that many accounts of ten tenants into the directory."""

        def add(txn: LedgerTxn) -> None:
            for number in range(10):
                domains = (f"{number}.example",)
                txn.put_tenant(
                    Tenant(tenant_id=f"n_{number}", name=f"{number}", agreement=self.terms.id, domains=domains)
                )
            for number in range(count):
                account_id, login = f"a_{number:06}", f"{number}@{number % 10}.example"
                txn.put_account(Account(account_id=account_id, tenant_id=f"n_{number % 10}", login=login))
                self.accounts.append(account_id)

        await self.engines[0].submit(add)

    async def run(self, count: int, at_once: int, *, is_burst: bool) -> tuple[float, float]:
        """Decide `count` cases; say decisions a second, and decisions a commit."""
        ledgers = [LocalLedger(engine, self._verbs) for engine in self.engines]
        before = sum(engine.tally.commits for engine in self.engines)
        slots = asyncio.Semaphore(at_once)
        began = time.perf_counter()

        async def one(number: int) -> None:
            async with slots:
                which = number % len(ledgers)
                account = number % len(ledgers) if is_burst else self.count % len(self.accounts)
                self.count += 1
                case = self._case(account)
                await asyncio.to_thread(self.engines[which].spool.put, case.transaction_id, _MAIL)
                decision = await ledgers[which].decide(case)
                assert decision.incident_id is not None

        await asyncio.gather(*(one(number) for number in range(count)))
        spent = time.perf_counter() - began
        commits = sum(engine.tally.commits for engine in self.engines) - before
        return count / spent, count / commits

    def _case(self, account: int) -> Case:
        now = datetime.now(UTC)
        name = random_id("t", now)
        found = Finding(code="virus.signature.match", confidence=1.0, why=(("signature", "Eicar"),), signal="virus")
        verdict = Verdict(check="clamd", version="1", outcome=Outcome.FOUND, findings=(found,))
        return Case(
            transaction_id=name,
            at=now - timedelta(milliseconds=5),
            direction=Direction.OUTBOUND,
            principal=Principal(
                account_id=self.accounts[account],
                tenant_id=f"n_{account % 10}",
                basis=Basis.XCLIENT,
                strength=Strength.STRONG,
                agreement=self.terms.id,
            ),
            evidence_key=f"e_{name}",
            delivery_keys=(f"k_{name}",),
            text_fp=f"f_{name}",
            facts=MailFacts(recipients=1, external_recipients=1, has_attachments=True, has_links=False),
            assessment=Assessment(verdicts=(verdict,)),
            policy_digest=self.terms.digest,
        )

    def stop(self) -> None:
        for engine in self.engines:
            engine.stop()


@contextmanager
def bare_sqlite(folder: Path) -> Iterator[Callable[[int], Awaitable[tuple[float, float]]]]:
    """One row a commit, in a file with the ledger's pragmas."""
    from filterd.ledger.sqlite import journal_mode

    raw = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    raw.execute("PRAGMA locking_mode = exclusive")
    raw.execute(f"PRAGMA journal_mode = {journal_mode(sqlite3.sqlite_version_info)}")
    raw.execute("PRAGMA synchronous = 2")
    raw.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB)")

    async def run(count: int) -> tuple[float, float]:
        began = time.perf_counter()
        for _ in range(count):
            raw.execute("INSERT INTO row (body) VALUES (?)", (b"x" * 500,))
        return count / (time.perf_counter() - began), 1.0

    yield run
    raw.close()


@contextmanager
def bare_postgres(url: str) -> Iterator[Callable[[int], Awaitable[tuple[float, float]]]]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, body bytea)")

        async def run(count: int) -> tuple[float, float]:
            began = time.perf_counter()
            for _ in range(count):
                raw.execute("INSERT INTO bare (body) VALUES (%s)", (b"x" * 500,))
            return count / (time.perf_counter() - began), 1.0

        yield run


async def measure(decisions: int, rounds: int) -> list[Row]:
    """Run every row in turn, `rounds` times; the disk is that of the temporary folder."""
    found: list[Row] = []
    disk = Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="filterd-durable-") as name, Postgres(on=disk) as server:
        folder = Path(name)
        # Two nodes have a database of their own: whose name is in use depends on who runs.
        urls = [server.new_database() for _ in range(3)]
        benches = {
            "SQLite": Bench(folder / "lite", None),
            "PostgreSQL": Bench(folder / "pg", urls[0]),
            "PostgreSQL, 2 nodes": Bench(folder / "two", urls[1], ("node1", "node2")),
        }
        for bench in benches.values():
            await bench.people(max(200, decisions))
        with bare_sqlite(folder) as lite, bare_postgres(urls[2]) as postgres:
            plan: list[tuple[str, Callable[[], Awaitable[tuple[float, float]]]]] = [
                ("SQLite: bare insert loop", lambda: lite(decisions)),
                ("PostgreSQL: bare insert loop", lambda: postgres(decisions)),
            ]
            for store, bench in benches.items():
                for label, count, at_once, is_burst in (
                    ("one after the other", decisions // 4, 1, False),
                    (f"distinct accounts, {AT_ONCE} at once", decisions, AT_ONCE, False),
                    (f"one account's burst, {AT_ONCE} at once", decisions, AT_ONCE, True),
                ):
                    plan.append((f"{store}: {label}", partial(bench.run, count, at_once, is_burst=is_burst)))
            rows = {label: Row(name=label, rates=[]) for label, _ in plan}
            for _ in range(rounds):
                for label, run in plan:
                    rate, a_commit = await run()
                    rows[label].rates.append(rate)
                    rows[label].a_commit = a_commit
            found = list(rows.values())
        for bench in benches.values():
            bench.stop()
    return found


def report(rows: list[Row]) -> None:
    bare = {row.name.partition(":")[0]: statistics.median(row.rates) for row in rows if "bare" in row.name}
    print(f"{'durable decisions':52} {'a second':>9} {'min':>7} {'max':>7} {'a commit':>9} {'to bare':>8}")
    for row in rows:
        middle = statistics.median(row.rates)
        base = bare[row.name.partition(":")[0].partition(",")[0]]
        spread = f"{min(row.rates):7.0f} {max(row.rates):7.0f}"
        print(f"{row.name:52} {middle:9.0f} {spread} {row.a_commit:9.1f} {middle / base:8.2f}")
