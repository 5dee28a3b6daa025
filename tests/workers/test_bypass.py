"""The ledger's rows, the file and the alarm of a bypass stay together, whoever ordered it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from filterd import app
from filterd.app import ledger_half
from filterd.app.announced import AnnouncedWatch
from filterd.app.raised import RaisedWatch
from filterd.app.watching import breaker_watch
from filterd.clients.bypass_file import FILE_NAME, BypassFile, read_order, write_order
from filterd.config import Config
from filterd.ledger.codec import decode
from filterd.ledger.engine import LedgerEngine
from filterd.log import EventStream, Log
from filterd.model.about import NOTHING
from filterd.model.records import KINDS
from filterd.pipeline import bypass
from filterd.workers.bypass import BypassWatch
from tests.kit.clock import FrozenClock
from tests.kit.house import KEYS, START
from tests.kit.waiting import PATIENCE_S

pytestmark = pytest.mark.slow


class Site:
    """A real ledger, the file, and the watch between them."""

    def __init__(self, folder: Path):
        self.folder, self.file, self.clock = folder, folder / FILE_NAME, FrozenClock(START)
        self.engine = LedgerEngine.open(
            state_dir=folder, node="t", keys=KEYS, clock=self.clock, apply=lambda h, x, _: app.fold(h, x, _)
        )
        self.log = Log(EventStream(folder / "events", "t.ledger", self.clock.now), pseudonym_key=KEYS.pseudonym)
        self.watch = BypassWatch(self.engine.submit, BypassFile(self.file), self.clock, self.log)
        self.engine.on_entries(lambda rows: [self.watch.committed(decode(KINDS[e.kind], e.body)) for e in rows])

    async def rows(self) -> list[dict[str, Any]]:
        return [{"kind": row.kind, **_body(row.body)} for row in await self.engine.entries_after(0)]

    async def person(self, role: str = "moderator") -> str:
        said = await self.engine.submit(
            lambda txn: bypass_people(txn, {"name": f"dana-{role}", "role": role, "as_root": True})
        )
        return str(said["token"])


def _body(octets: bytes) -> dict[str, Any]:
    import json

    body: dict[str, Any] = json.loads(octets)
    return body


def bypass_people(txn: Any, arguments: dict[str, Any]) -> Any:
    from filterd.pipeline.person_acts import person_add

    return person_add(txn, arguments)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    yield site
    await site.engine.close()


async def test_a_persons_order_is_a_row_first_and_then_the_file(site: Site) -> None:
    token = await site.person()
    said = await site.engine.submit(
        lambda txn: bypass.bypass_on(txn, {"token": token, "minutes": 30, "reason": "rule 7 refuses everything"})
    )
    await site.engine.submit(lambda txn: None)
    order = read_order(site.file)
    assert order is not None
    until = START + timedelta(minutes=30)
    assert (order.order_id, order.by, order.until) == (said["order_id"], "dana-moderator", until)
    assert order.is_recorded
    assert [row["kind"] for row in await site.rows()] == ["root.acted", "person.added", "bypass.opened"]


async def test_the_alarm_sounds_once_a_minute_and_says_what_to_do(site: Site) -> None:
    write_order(site.file, bypass.order_for(START, timedelta(minutes=5), by="dana", reason="x"))
    with capture_logs() as lines:
        for _ in range(3):
            await site.watch.look()
    assert [(line["event"], line["log_level"], line["do"]) for line in lines] == [
        ("bypass", "error", "filterd bypass off")
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away, which only root can")
def test_what_root_orders_can_be_read_by_the_user_of_the_service(tmp_path: Path) -> None:
    user = 65_534
    os.chown(tmp_path, user, user)
    write_order(tmp_path / FILE_NAME, bypass.order_for(START, timedelta(minutes=5), by="root", reason="x"))
    found = (tmp_path / FILE_NAME).stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (user, user, 0o600)


async def test_a_broken_order_does_not_keep_the_rest_of_the_upkeep_from_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filterd.app.ledger_half._FLUSH_S", 0.01)
    # As often as it looks at the order: the first sweep comes after the first look.
    monkeypatch.setattr("filterd.app.ledger_half._SWEEP_EACH", ledger_half._LOOK_EACH)
    config = Config.model_validate({"node": {"state_dir": str(tmp_path)}})
    clock = FrozenClock(START)
    half = app.LedgerHalf(app.read_policy(config), KEYS, clock)
    half._bypass = BypassWatch(half.engine.submit, BypassFile(tmp_path / FILE_NAME), clock, half.log)
    half._breakers = await breaker_watch(half.engine, half._breaker_rules, clock)
    for name, watch in (("_raised", RaisedWatch), ("_announced", AnnouncedWatch)):
        made = watch(lambda look: half.engine.submit(look, NOTHING), lambda: half.policy.agreements, clock)
        setattr(half, name, made)
    swept = asyncio.Event()

    async def sweep() -> None:
        swept.set()

    half.engine.sweep_spool = sweep  # type: ignore[method-assign,assignment]
    (tmp_path / FILE_NAME).write_text("no order")
    upkeep = asyncio.create_task(half._upkeep())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await swept.wait()
    finally:
        upkeep.cancel()
        await half.engine.close()


async def test_an_order_without_the_ledger_gets_its_row_once(site: Site) -> None:
    write_order(site.file, bypass.order_for(START, timedelta(minutes=5), by="root", reason="ledger dead"))
    for _ in range(3):
        await site.watch.look()
    assert [(row["kind"], row["by"], row["reason"]) for row in await site.rows()] == [
        ("bypass.opened", "root", "ledger dead")
    ]


async def test_when_its_time_is_over_the_file_goes_with_a_row(site: Site) -> None:
    write_order(site.file, bypass.order_for(START, timedelta(minutes=5), by="root", reason="x"))
    await site.watch.look()
    site.clock.advance(5 * 60)
    for _ in range(2):
        await site.watch.look()
    assert not site.file.exists()
    assert [(row["kind"], row["by"]) for row in await site.rows()] == [
        ("bypass.opened", "root"),
        ("bypass.closed", "clock"),
    ]


async def test_taking_back_ends_that_order_only(site: Site) -> None:
    token = await site.person()
    write_order(site.file, bypass.order_for(START, timedelta(minutes=5), by="root", reason="x"))
    order = read_order(site.file)
    assert order is not None
    await site.engine.submit(lambda txn: bypass.bypass_off(txn, {"token": token, "order_id": "b_another"}))
    assert site.file.exists()
    await site.engine.submit(lambda txn: bypass.bypass_off(txn, {"token": token, "order_id": order.order_id}))
    await site.engine.submit(lambda txn: None)
    assert not site.file.exists()


@pytest.mark.parametrize(
    ("role", "minutes", "reason"),
    [("viewer", 30, "x"), ("policy_editor", 30, "x"), ("admin", 0, "x"), ("admin", 1441, "x"), ("admin", 30, " ")],
)
async def test_not_by_anybody_not_for_ever_and_not_without_a_reason(
    site: Site, role: str, minutes: int, reason: str
) -> None:
    from filterd.errors import RefusedError

    token = await site.person(role)
    given = {"token": token, "minutes": minutes, "reason": reason}
    with pytest.raises(RefusedError):
        await site.engine.submit(lambda txn: bypass.bypass_on(txn, given))
    assert not site.file.exists()
