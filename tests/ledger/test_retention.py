"""Nothing is kept longer than promised, and nothing goes while somebody may still need it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from filterd.errors import RefusedError
from filterd.ledger import retention
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.schema import EVIDENCE, QUARANTINE, SUBJECT_KEY, VAULT_OBJECT
from filterd.model import records as r
from filterd.model.evidence import Kept, Portion
from filterd.model.held import HeldState
from tests.kit.clock import NOON
from tests.ledger.evidence_rig import DIGEST, RAW, UNTIL, decide, hold, vault_files
from tests.ledger.rig import act, incident_id, open_engine, url_of

pytestmark = pytest.mark.slow

AFTER = UNTIL + timedelta(days=1)


async def keep(engine: LedgerEngine, name: str, account_id: str = "a_1", kept: Kept = Kept.FULL) -> None:
    engine.spool.put(name, RAW)
    await engine.submit(lambda txn: decide(txn, name, account_id, Portion(kept=kept)))


async def put(engine: LedgerEngine, *records: r.Record, account_id: str = "a_1") -> None:
    await engine.submit(lambda txn: [txn.append(x, account_id=account_id, tenant_id=None) for x in records])


def objection(account_id: str = "a_1") -> r.ObjectionFiled:
    return r.ObjectionFiled(
        at=NOON,
        appeal_id=f"p_{account_id}",
        sanction_id="x_1",
        incident_id=incident_id(account_id),
        account_id=account_id,
        channel="mail",
    )


def decided(outcome: str = "denied") -> r.AppealDecided:
    return r.AppealDecided(
        at=NOON, appeal_id="p_a_1", incident_id=incident_id("a_1"), outcome=outcome, by="Ana", reason="x"
    )


LEGAL = r.EvidenceHeld(at=NOON, hold_id="l_1", account_id="a_1", case="c", by="Ana", reason="court order 7")


def released(by: str, *, is_final: bool) -> r.EvidenceReleased:
    return r.EvidenceReleased(at=NOON, hold_id="l_1", account_id="a_1", by=by, reason="x", is_final=is_final)


ANNULLED = r.StrikeAnnulled(at=NOON, strike_id="s", incident_id=incident_id("a_1"), by="Ana", reason="x")


@pytest.mark.parametrize(
    ("said", "is_kept"),
    [
        ((), False),
        ((objection(),), True),
        ((objection(), decided()), False),
        # Objected to, and then undone for another reason: nothing is left to decide.
        ((objection(), ANNULLED), False),
        ((LEGAL,), True),
        ((LEGAL, released("Bo", is_final=False)), True),
        ((LEGAL, released("Bo", is_final=False), released("Cy", is_final=True)), False),
        ((LEGAL, objection(), decided()), True),
    ],
)
async def test_an_open_appeal_and_a_legal_hold_keep_what_is_there(
    engine: LedgerEngine, said: tuple[r.Record, ...], is_kept: bool
) -> None:
    await keep(engine, "t_1")
    await keep(engine, "t_2", "a_2")
    await put(engine, *said)
    erased = await engine.retention.expire(AFTER)
    assert (erased.rows, erased.frozen_accounts) == ((1, 1) if is_kept else (2, 0))
    await engine.sweep(age_s=-1)
    assert await engine.read_evidence(DIGEST, "a_1") == (RAW if is_kept else None)
    assert await engine.read_evidence(DIGEST, "a_2") is None


async def test_nothing_goes_a_moment_too_early(engine: LedgerEngine) -> None:
    await keep(engine, "t_1")
    assert (await engine.retention.expire(UNTIL)).rows == 0
    assert (await engine.retention.expire(UNTIL + timedelta(microseconds=1))).rows == 1


async def test_many_go_in_small_steps(engine: LedgerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_ROWS_AT_ONCE", 3)
    monkeypatch.setattr(retention, "_ACCOUNTS_AT_ONCE", 2)
    for number in range(8):
        await keep(engine, f"t_{number}", f"a_{number % 5}", Kept.HASH)
    await put(engine, objection("a_3"), account_id="a_3")
    before = engine.tally.functions
    erased = await engine.retention.expire(AFTER)
    assert (erased.rows, erased.frozen_accounts) == (7, 1)
    # Three looks at accounts, four accounts with rows to erase, each until none is left, and one that keeps its own.
    assert engine.tally.functions - before == 4 + 4 * 2 + 1


async def test_evidence_of_a_destroyed_key_goes_though_its_time_has_not_come(engine: LedgerEngine) -> None:
    """As after a backup was put back in which it was not erased yet."""
    await keep(engine, "t_1")
    await keep(engine, "t_2", "a_2")
    destroyed = update(SUBJECT_KEY).where(SUBJECT_KEY.c.subject_id == "a_1").values(wrapped=None)
    await engine.submit(lambda txn: txn.connection.execute(destroyed).rowcount)
    assert await engine.retention.forget_destroyed() == 1
    assert await engine.retention.forget_destroyed() == 0
    assert await engine.submit(lambda txn: txn.connection.execute(select(EVIDENCE.c.account_id)).scalars().all()) == [
        "a_2"
    ]


async def test_erasing_a_subject_takes_the_objects_with_the_next_sweep(engine: LedgerEngine, state_dir: Path) -> None:
    await keep(engine, "t_1")
    await keep(engine, "t_2", "a_2", Kept.HEADERS)
    await engine.erase_subject("a_1")
    await engine.sweep(age_s=-1)
    if url_of(state_dir) is None:
        assert len(vault_files(state_dir)) == 1
    else:
        count = select(func.count()).select_from(VAULT_OBJECT)
        assert await engine.submit(lambda txn: txn.connection.execute(count).scalar()) == 1
    assert await engine.read_evidence(DIGEST, "a_2") is not None


async def test_nobody_is_erased_under_a_legal_hold(engine: LedgerEngine) -> None:
    await keep(engine, "t_1")
    await put(engine, LEGAL)
    with pytest.raises(RefusedError, match="legal hold"):
        await engine.erase_subject("a_1")
    assert await engine.read_evidence(DIGEST, "a_1") == RAW
    await put(engine, released("Bo", is_final=True))
    assert await engine.erase_subject("a_1") is True


async def test_settled_quarantine_is_forgotten_and_held_mail_never(engine: LedgerEngine) -> None:
    for number in range(3):
        engine.spool.put(f"t_{number}", RAW + bytes([number]))
    ids = [await engine.submit(lambda txn, n=n: hold(txn, f"t_{n}", f"a_{n}")) for n in range(3)]

    def delete(txn: Any) -> None:
        for item_id in ids[:2]:
            txn.move_held(item_id, HeldState.HELD, HeldState.DELETED, by="Ana", reason="x")

    await engine.submit(delete)
    await put(engine, objection("a_1"), account_id="a_1")
    assert (await engine.retention.prune(NOON)).rows == 0
    pruned = await engine.retention.prune(NOON + timedelta(days=400))
    assert (pruned.rows, pruned.frozen_accounts) == (1, 1)
    left = await engine.submit(lambda txn: txn.connection.execute(select(QUARANTINE.c.item_id)).scalars().all())
    assert sorted(left) == sorted(ids[1:])
    # The octets of the deleted one went at once, those of the account with an appeal stay, and so do the held ones.
    await engine.retention.expire(NOON + timedelta(seconds=1))
    await engine.sweep(age_s=-1)
    found = [await engine.submit(lambda txn, i=i: txn.read_held(i) is not None) for i in ids]
    assert found == [False, True, True]


async def test_the_latest_row_of_any_writer(engine: LedgerEngine) -> None:
    assert await engine.retention.last_written_at() is None
    await engine.submit(lambda txn: act(txn, "a_1"))
    assert await engine.retention.last_written_at() == NOON


@pytest.mark.one_store("postgresql")
async def test_what_one_node_keeps_another_erases_in_time(engine: LedgerEngine, state_dir: Path) -> None:
    await keep(engine, "t_1")
    other = open_engine(state_dir.with_name("other"), node="node2", url=url_of(state_dir))
    try:
        assert await other.read_evidence(DIGEST, "a_1") == RAW
        assert (await other.retention.expire(AFTER)).rows == 1
        assert (await other.sweep(age_s=-1)).orphaned == 1
        assert await engine.read_evidence(DIGEST, "a_1") is None
    finally:
        other.stop()
