"""Held mail: whole, with its envelope to the octet, durable before anybody is told, and one fate each."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from filterd.errors import FilterdError, PortError, RefusedError, UsageError
from filterd.ledger.codec import decode
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.schema import EVIDENCE, QUARANTINE
from filterd.model.evidence import Kept, Portion
from filterd.model.held import NEXT, HeldState
from filterd.model.records import KINDS
from filterd.model.session import Envelope
from tests.kit.clock import NOON, FrozenClock
from tests.kit.postgres import Postgres
from tests.ledger.evidence_rig import DIGEST, ENVELOPE, RAW, Fault, all_files, all_tables, decide, hold, spooled
from tests.ledger.rig import open_engine, url_file

pytestmark = pytest.mark.slow

WORDS = (b"secret offer", b"buy now", b"Bertha", b"wilhelm", b"BODY=8BITMIME", b"x.example")


def holding(engine: LedgerEngine, number: int = 1, account_id: str = "a_1") -> str:
    name = f"t_{number}"
    engine.spool.put(name, RAW)
    return engine.run(lambda txn: hold(txn, name, account_id))


def move(engine: LedgerEngine, item_id: str, before: HeldState, after: HeldState, by: str = "Ana") -> None:
    engine.run(lambda txn: txn.move_held(item_id, before, after, by=by, reason="looked at"))


def told(engine: LedgerEngine) -> list[tuple[str, str | None]]:
    rows = asyncio.run(engine.entries_after(0))
    return [(row.kind, getattr(decode(KINDS[row.kind], row.body), "state", None)) for row in rows]


def test_a_held_mail_comes_back_to_the_octet(engine: LedgerEngine, state_dir: Path) -> None:
    item_id = holding(engine)
    assert spooled(state_dir) == []
    assert engine.run(lambda txn: txn.read_held(item_id)) == (ENVELOPE, RAW)
    held = engine.run(lambda txn: txn.held_mail(item_id))
    assert held is not None
    assert (held.state, held.digest, held.account_id, held.tenant_id) == (HeldState.HELD, DIGEST, "a_1", "n_1")
    assert told(engine) == [("mail.held", None)]


def test_the_null_sender_comes_back_as_none(engine: LedgerEngine) -> None:
    engine.spool.put("t_1", b"")
    empty = Envelope(reverse_path=None)
    item_id = engine.run(lambda txn: txn.hold_mail("t_1", "a_1", None, "x", empty, NOON))
    assert engine.run(lambda txn: txn.read_held(item_id)) == (empty, b"")


def test_holding_twice_is_holding_once(engine: LedgerEngine) -> None:
    item_id = holding(engine)
    assert engine.run(lambda txn: hold(txn, "t_1")) == item_id
    assert told(engine) == [("mail.held", None)]


def test_a_mail_without_a_copy_cannot_be_held(engine: LedgerEngine) -> None:
    with pytest.raises(PortError, match="in no spool") as caught:
        engine.run(lambda txn: hold(txn, "t_1"))
    assert caught.value.temporary
    assert told(engine) == []


def test_a_mail_that_was_kept_whole_can_be_held_later(engine: LedgerEngine) -> None:
    engine.spool.put("t_1", RAW)
    engine.run(lambda txn: decide(txn, "t_1"))
    item_id = engine.run(lambda txn: hold(txn, "t_1"))
    assert engine.run(lambda txn: txn.read_held(item_id)) == (ENVELOPE, RAW)


@pytest.mark.parametrize("kept", [Kept.NONE, Kept.HASH, Kept.HEADERS])
def test_a_held_mail_is_whole_whatever_is_kept_as_evidence(engine: LedgerEngine, kept: Kept) -> None:
    """One transaction: the decision keeps little, the quarantine all; when it is settled, little is left."""
    engine.spool.put("t_1", RAW)

    def both(txn: Any) -> str:
        decide(txn, "t_1", portion=Portion(kept=kept))
        return hold(txn, "t_1")

    item_id = engine.run(both)
    assert engine.run(lambda txn: txn.read_held(item_id)) == (ENVELOPE, RAW)
    assert [item.kept for item in engine.run(lambda txn: txn.evidence_of("a_1"))] == ([kept] if kept else [])
    move(engine, item_id, HeldState.HELD, HeldState.DELETED)

    async def tidy() -> None:
        await engine.retention.expire(NOON + timedelta(seconds=1))
        await engine.sweep(age_s=-1)

    asyncio.run(tidy())
    left = engine.run(lambda txn: txn.read_evidence("t_1"))
    assert left == (b"Subject: a secret offer\r\n\r\n" if kept is Kept.HEADERS else None)
    assert engine.run(lambda txn: txn.read_held(item_id)) is None


def test_sweeping_leaves_what_is_held(engine: LedgerEngine) -> None:
    item_id = holding(engine)

    async def tidy() -> int:
        gone = await engine.retention.expire(NOON + timedelta(days=9000))
        await engine.retention.prune(NOON + timedelta(days=9000))
        await engine.sweep(age_s=-1)
        return gone.rows

    assert asyncio.run(tidy()) == 0
    assert engine.run(lambda txn: txn.read_held(item_id)) == (ENVELOPE, RAW)


# --- what becomes of it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [HeldState.DELIVERED, HeldState.RETURNED, HeldState.DELETED])
def test_each_step_is_a_row(engine: LedgerEngine, end: HeldState) -> None:
    item_id = holding(engine)
    move(engine, item_id, HeldState.HELD, HeldState.RELEASED)
    move(engine, item_id, HeldState.RELEASED, end, by="system")
    assert told(engine) == [("mail.held", None), ("mail.moved", "released"), ("mail.moved", end.value)]
    held = engine.run(lambda txn: txn.held_mail(item_id))
    assert held is not None
    assert held.settled_at == NOON
    assert engine.run(lambda txn: [x.item_id for x in txn.held_mails((end,))]) == [item_id]


@pytest.mark.one_store("sqlite")
def test_no_other_step_is_possible(engine: LedgerEngine) -> None:
    item_id = holding(engine)
    for before in HeldState:
        for after in HeldState:
            if after not in NEXT[before]:
                with pytest.raises(UsageError):
                    move(engine, item_id, before, after)
    assert told(engine) == [("mail.held", None)]


async def test_released_mail_is_promised_to_be_delivered(engine: LedgerEngine) -> None:
    engine.spool.put("t_1", RAW)
    item_id = await engine.submit(lambda txn: hold(txn, "t_1"))

    def release(txn: Any) -> None:
        txn.move_held(item_id, HeldState.HELD, HeldState.RELEASED, by="Ana", reason="harmless")

    with pytest.raises(ZeroDivisionError):
        await engine.submit(lambda txn: (release(txn), 1 / 0))
    assert await engine.pending() == ()
    await engine.submit(release)
    ((item, _, _),) = await engine.pending()
    assert (item.topic, item.payload["item_id"], item.payload["account_id"]) == ("release", item_id, "a_1")


async def test_of_two_people_one_acts(engine: LedgerEngine) -> None:
    engine.spool.put("t_1", RAW)
    item_id = await engine.submit(lambda txn: hold(txn, "t_1"))

    def act(after: HeldState, by: str) -> Callable[[Any], Any]:
        return lambda txn: txn.move_held(item_id, HeldState.HELD, after, by=by, reason="x")

    acts = [act(HeldState.RELEASED, "Ana"), act(HeldState.DELETED, "Bo"), act(HeldState.RELEASED, "Cy")]
    done = await asyncio.gather(*map(engine.submit, acts), return_exceptions=True)
    refused = [item for item in done if isinstance(item, RefusedError)]
    assert len(refused) == 2
    assert "by now" in str(refused[0])
    assert [row.kind for row in await engine.entries_after(0)] == ["mail.held", "mail.moved"]


def test_what_is_due_comes_first_and_is_counted(engine: LedgerEngine, clock: FrozenClock) -> None:
    for number, days in enumerate((3, 1, 2)):
        engine.spool.put(f"t_{number}", RAW + bytes([number]))
        due_at = NOON + timedelta(days=days)
        engine.run(lambda txn, n=number, at=due_at: txn.hold_mail(f"t_{n}", "a_1", None, "x", ENVELOPE, at))
    waiting = engine.run(lambda txn: txn.held_mails((HeldState.HELD,)))
    assert [item.transaction_id for item in waiting] == ["t_1", "t_2", "t_0"]
    due = engine.run(lambda txn: txn.held_mails((HeldState.HELD,), due_before=NOON + timedelta(days=2)))
    assert [item.transaction_id for item in due] == ["t_1", "t_2"]
    move(engine, waiting[0].item_id, HeldState.HELD, HeldState.DELETED)
    counts = engine.run(lambda txn: txn.held_counts())
    assert {state: number for state, number in counts.items() if number} == {HeldState.HELD: 2, HeldState.DELETED: 1}


# --- privacy ----------------------------------------------------------------------------------------------------------


async def test_erasing_the_subject_ends_what_it_has_held(engine: LedgerEngine, state_dir: Path) -> None:
    items = []
    for number, account_id in enumerate(("a_1", "a_2")):
        engine.spool.put(f"t_{number}", RAW)
        items.append(await engine.submit(lambda txn, n=number, a=account_id: hold(txn, f"t_{n}", a)))
    sealed = await engine.submit(lambda txn: txn.connection.execute(select(QUARANTINE.c.sealed)).scalars().all())
    await engine.erase_subject("a_1")
    assert await engine.submit(lambda txn: txn.read_held(items[0])) is None
    assert await engine.submit(lambda txn: txn.read_held(items[1])) == (ENVELOPE, RAW)
    held = await engine.submit(lambda txn: txn.held_mail(items[0]))
    assert held is not None
    assert held.state is HeldState.DELETED
    assert await engine.submit(lambda txn: txn.connection.execute(select(EVIDENCE.c.account_id)).scalars().all()) == [
        "a_2"
    ]
    engine.spool.put("t_3", RAW)
    with pytest.raises(UsageError, match="erased"):
        await engine.submit(lambda txn: hold(txn, "t_3"))
    assert spooled(state_dir) == ["t_3"]
    assert len(sealed) == 2
    assert (await engine.verify()).is_sound


def test_nothing_held_stands_in_clear(
    engine: LedgerEngine, state_dir: Path, store: str, request: pytest.FixtureRequest
) -> None:
    item_id = holding(engine)
    engine.spool.put("t_2", RAW)
    engine.run(lambda txn: decide(txn, "t_2", portion=Portion(kept=Kept.EXCERPT)))
    engine.spool.put("t_3", RAW)
    move(engine, item_id, HeldState.HELD, HeldState.RELEASED)
    found = engine.run(all_tables)
    # What is to be found, to see that this looks in the right places.
    assert item_id.encode() in found
    found += all_files(state_dir)
    if store == "postgresql":
        server: Postgres = request.getfixturevalue("postgres_server")
        database = url_file(state_dir).read_text().partition("@/")[2].partition("?")[0]
        server.execute(database, "CHECKPOINT")
        stored = all_files(server.data)
        assert item_id.encode() in stored
        found += stored
    assert [word for word in WORDS if word in found] == []


# --- faults -----------------------------------------------------------------------------------------------------------


def both(txn: Any) -> str:
    """A decision that keeps the mail as evidence and holds it."""
    decide(txn, "t_1", portion=Portion(kept=Kept.HEADERS))
    return hold(txn, "t_1")


ACTS: dict[str, Callable[[Any], Any]] = {
    "promote": lambda txn: decide(txn, "t_1"),
    "promote headers": lambda txn: decide(txn, "t_1", portion=Portion(kept=Kept.HEADERS)),
    "promote hash": lambda txn: decide(txn, "t_1", portion=Portion(kept=Kept.HASH)),
    "hold": lambda txn: hold(txn, "t_1"),
    "both": both,
}


def outcome(engine: LedgerEngine, state_dir: Path) -> str:
    """Say "all" or "nothing"; anything in between fails."""
    rows = asyncio.run(engine.entries_after(0))
    evidence = engine.run(lambda txn: txn.connection.execute(select(EVIDENCE)).all())
    items = engine.run(lambda txn: txn.held_mails(tuple(HeldState)))
    if not rows:
        assert evidence == []
        assert items == ()
        assert spooled(state_dir) == ["t_1"]
        assert engine.spool.read("t_1") == RAW
        return "nothing"
    assert len(rows) == len(evidence)
    for row in evidence:
        whole = engine.run(lambda txn, name=row.transaction_id: txn.read_evidence(name))
        assert (whole is None) == (row.kept == "hash")
    for item in items:
        assert engine.run(lambda txn, name=item.item_id: txn.read_held(name)) == (ENVELOPE, RAW)
    return "all"


@pytest.mark.one_store("sqlite")
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("write", errno.ENOSPC),
        ("write", errno.EIO),
        ("fsync", errno.EIO),
        ("rename", errno.EIO),
        ("open", errno.EMFILE),
    ],
)
def test_whatever_file_operation_fails_it_is_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, error: int, act: str
) -> None:
    struck = 0
    for number in range(1, 30):
        state_dir = tmp_path / str(number)
        engine = open_engine(state_dir)
        engine.spool.put("t_1", RAW)
        fault = Fault(monkeypatch, kind, number, error)
        try:
            with fault.armed():
                try:
                    engine.run(ACTS[act])
                    done = "all"
                except FilterdError:
                    done = "nothing"
            assert outcome(engine, state_dir) == done
            if done == "nothing":
                # What failed for want of room is taken once there is some.
                engine.run(ACTS[act])
                assert outcome(engine, state_dir) == "all"
            engine.stop()
            engine = open_engine(state_dir)
            assert outcome(engine, state_dir) == "all"
        finally:
            engine.stop()
        if not fault.has_struck:
            break
        struck += 1
    else:
        pytest.fail("there is no end of it")
    # A hash alone makes no file.
    assert struck > 0 or act == "promote hash"


@pytest.mark.parametrize("act", ACTS)
def test_whatever_statement_fails_it_is_all_or_nothing(engine: LedgerEngine, state_dir: Path, act: str) -> None:
    engine.spool.put("t_1", RAW)
    store = engine._book._store
    for number in range(1, 80):
        left = [number]

        def fail(connection: Any, cursor: Any, statement: str, *_: Any, left: list[int] = left) -> None:
            # From then on: a connection that broke is opened once more.
            left[0] -= 1
            if left[0] <= 0:
                raise OperationalError(statement, {}, OSError(errno.EIO, "Input/output error"))

        bind = store.connection.engine
        event.listen(bind, "before_cursor_execute", fail)
        try:
            engine.run(ACTS[act])
            break
        except FilterdError:
            pass
        finally:
            event.remove(bind, "before_cursor_execute", fail)
        assert outcome(engine, state_dir) == "nothing", number
    assert outcome(engine, state_dir) == "all"
    assert number > 5


@pytest.mark.one_store("sqlite")
@pytest.mark.parametrize("kept", [Kept.HEADERS, Kept.EXCERPT, Kept.FULL])
def test_each_class_is_on_disk_before_its_row(
    engine: LedgerEngine, monkeypatch: pytest.MonkeyPatch, kept: Kept
) -> None:
    """File synced, renamed, directory synced, then the commit, and only then the spool goes; the held copy, too."""
    order: list[str] = []
    engine.spool.put("t_1", RAW)
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(fd: int) -> None:
        place = os.readlink(f"/proc/self/fd/{fd}")
        if "/vault/" in place:
            order.append("sync dir" if os.path.isdir(place) else "sync file")
        real_fsync(fd)

    def rename(self: Path, target: Path) -> Path:
        order.append("rename")
        return real_rename(self, target)

    discard = engine.spool.discard
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(engine.spool, "discard", lambda name: (order.append("spool gone"), discard(name)))
    event.listen(engine._book._store.connection.engine, "commit", lambda _: order.append("commit"))

    def act(txn: Any) -> None:
        decide(txn, "t_1", portion=Portion(kept=kept))
        hold(txn, "t_1")

    engine.run(act)
    commit = order.index("commit")
    assert "spool gone" not in order[:commit]
    assert set(order[commit + 1 :]) == {"spool gone"}
    files = order[:commit].count("rename")
    # Of the whole mail kept as evidence and held there are two stages of one file.
    assert order[:commit].count("sync file") == files == 2
    assert order[commit - 1] == "sync dir"
    assert order.index("rename") > order.index("sync file")
