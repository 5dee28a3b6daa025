"""The indexer: what is in the index is what is in the files, whatever crashes, rotates or is taken away meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from filterd.cli.finding import in_files, in_index
from filterd.clients.verdict_index import StoredVerdictIndex, open_index
from filterd.clients.verdict_index_store import FILE_NAME
from filterd.errors import PortError
from filterd.log import EventStream, Log
from filterd.model.found import JudgedMail, MailAnswer, MailQuery, StreamPosition
from filterd.workers.indexer import Indexer, start_indexer
from tests.kit.clock import NOON, FrozenClock
from tests.kit.waiting import PATIENCE_S
from tests.log.streams import Writer, answered, decided, denied, line
from tests.test_log import KEY, say_everything

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ALL = MailQuery(limit=100_000)


class Flaky:
    """An index whose next `add` dies before or after its commit."""

    def __init__(self, index: StoredVerdictIndex):
        self.index = index
        self.dies: str | None = None

    def add(
        self,
        writer: str,
        before: StreamPosition | None,
        after: StreamPosition,
        first_seq: int,
        rows: Sequence[JudgedMail | MailAnswer],
    ) -> bool:
        dies, self.dies = self.dies, None
        if dies == "before":
            raise PortError("before the commit")
        done = self.index.add(writer, before, after, first_seq, rows)
        if dies == "after":
            raise PortError("after the commit")
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.index, name)


class House:
    """Streams of two workers, and an index behind them."""

    def __init__(self, folder: Path):
        self.events = folder / "events"
        self.events.mkdir()
        self.folder, self.clock = folder, FrozenClock(NOON + timedelta(days=1))
        self.writers = [Writer(self.events, name) for name in ("node1.w0", "node1.w1")]
        self.index = Flaky(open_index(folder))
        self.number = 0
        self.restart()

    def restart(self, retention: timedelta = timedelta(days=90)) -> None:
        self.indexer = Indexer(self.index, self.events, self.clock, retention=retention)

    def mail(self, writer: int, *, is_answered: bool = True) -> None:
        self.number += 1
        tx = f"t_{self.number:04}"
        mail = decided(
            tx, account_id=f"a_{self.number % 3}", codes=("virus.signature.match",) * (self.number % 4 == 0)
        )
        self.writers[writer].write(mail)
        if is_answered:
            self.writers[writer].write(answered(tx, queue_id=f"Q{self.number}"))

    def agree(self) -> None:
        """Files and index, with or without what is not read yet, say the same to every question."""
        queries = [
            ALL,
            MailQuery(account_id="a_1", limit=3),
            MailQuery(code="virus.signature.match", limit=100),
            MailQuery(queue_id=f"Q{self.number}"),
            MailQuery(disposition="denied"),
        ]
        for query in queries:
            assert in_index(self.events, self.index.index, query) == in_files(self.events, query), query


ACTS = st.lists(
    st.sampled_from(
        [
            *("mail", "mail unanswered", "other", "denied", "torn", "rotate", "pack"),
            *("step", "step", "step", "step little", "restart", "dies before", "dies after", "remove", "rewind"),
        ]
    ),
    max_size=30,
)


@given(ACTS, st.data())
@settings(deadline=None, max_examples=40)
def test_files_and_index_say_the_same_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, acts: list[str], data: st.DataObject
) -> None:
    house = House(tmp_path_factory.mktemp("house"))
    for act in acts:
        at = data.draw(st.integers(0, 1))
        writer = house.writers[at]
        match act:
            case "mail" | "mail unanswered":
                house.mail(at, is_answered=act == "mail")
            case "other":
                writer.write({"event": "troubled", "what": "spam"})
            case "denied":
                writer.write(denied("a_1"))
            case "torn":
                writer.append(b'{"v":1,"event":"deci\n')
            case "rotate" | "pack":
                writer.rotate(packs=act == "pack")
            case "step" | "step little" | "dies before" | "dies after":
                house.index.dies = act.partition("dies ")[2] or None
                try:
                    house.indexer.step(writer.name, 3 if act == "step little" else 500)
                except PortError:
                    assert act.startswith("dies")
                house.index.dies = None
            case "restart":
                house.restart()
            case "remove":
                (house.folder / FILE_NAME).unlink(missing_ok=True)
            case "rewind":
                house.index.rewind(writer.name, data.draw(st.integers(0, 10)))
    house.agree()
    for _ in house.indexer.catch_up():
        pass
    house.agree()
    status = house.index.status()
    assert len(house.index.find(ALL)) == status.mails == len(in_files(house.events, ALL))
    assert {w: p.seq for w, p in status.positions.items()} == {w.name: w.seq for w in house.writers if w.seq}


def test_rows_of_files_taken_away_stay_and_nothing_is_read_twice(tmp_path: Path) -> None:
    house = House(tmp_path)
    for _ in range(5):
        house.mail(0)
    assert sum(house.indexer.catch_up()) == 10
    house.writers[0].rotate(removes_before=1)
    house.restart()
    assert sum(house.indexer.catch_up()) == 0
    house.mail(0)
    assert sum(house.indexer.catch_up()) == 2
    assert len(house.index.find(ALL)) == 6


def test_a_stream_that_lost_its_end_in_a_power_cut_is_read_again(tmp_path: Path) -> None:
    house = House(tmp_path)
    for _ in range(4):
        house.mail(0)
    list(house.indexer.catch_up())
    writer = house.writers[0]
    lines = writer.path.read_bytes().splitlines(keepends=True)
    writer.path.write_bytes(b"".join(lines[:5]) + line(writer.name, 6, at=writer.at, **decided("t_new")))
    writer.seq = 6
    list(house.indexer.catch_up())
    assert [m.judged.tx for m in house.index.find(ALL)] == ["t_0001", "t_0002", "t_0003", "t_new"]
    house.agree()


def test_an_index_taken_away_while_nothing_happens_is_made_anew(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.mail(0)
    list(house.indexer.catch_up())
    (tmp_path / FILE_NAME).unlink()
    assert house.indexer.step("node1.w0") == 2
    assert house.index.status().mails == 1


def test_an_answer_that_is_not_read_yet_is_said_with_its_mail(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.mail(0, is_answered=False)
    list(house.indexer.catch_up())
    house.writers[0].write(answered("t_0001", queue_id="Q1"))
    for query in (ALL, MailQuery(queue_id="Q1")):
        (mail,) = in_index(house.events, house.index.index, query)
        assert mail.answer is not None
        assert mail.answer.queue_id == "Q1"
    house.agree()


def test_what_is_too_old_stays_out_and_is_taken_out(tmp_path: Path) -> None:
    house = House(tmp_path)
    for _ in range(5):
        house.mail(0)
    house.clock.set(NOON + timedelta(days=90, seconds=5))
    list(house.indexer.catch_up())
    assert [m.judged.tx for m in house.index.find(ALL)] == ["t_0003", "t_0004", "t_0005"]
    house.clock.advance(2)
    assert house.indexer.expire() == 2
    assert [m.judged.tx for m in house.index.find(ALL)] == ["t_0004", "t_0005"]


def test_two_that_read_into_one_index_put_nothing_in_twice(tmp_path: Path) -> None:
    house = House(tmp_path)
    other = Indexer(open_index(tmp_path), house.events, house.clock, retention=timedelta(days=90))
    for _ in range(6):
        house.mail(0)
        house.mail(1)
        house.indexer.step("node1.w0", 3)
        other.step("node1.w0", 2)
        other.step("node1.w1", 5)
        house.indexer.step("node1.w1", 1)
    list(other.catch_up())
    list(house.indexer.catch_up())
    house.agree()
    assert house.index.status().mails == 12


def test_no_address_or_word_of_anybody_is_in_the_index(tmp_path: Path) -> None:
    log = Log(EventStream(tmp_path / "events", "node1.w0", FrozenClock().now), pseudonym_key=KEY)
    with capture_logs():
        say_everything(log)
    log.stream.close()
    indexer = Indexer(open_index(tmp_path), tmp_path / "events", FrozenClock(), retention=timedelta(days=90))
    assert sum(indexer.catch_up()) > 10
    octets = (tmp_path / FILE_NAME).read_bytes()
    assert b"inc_1" in octets
    secrets = (b"alice", b"bob", b"@example", b"words of the mail", b"192.0.2.7")
    assert [secret for secret in secrets if secret in octets] == []


# --- As a task --------------------------------------------------------------------------------------------------------


async def until(index: StoredVerdictIndex, mails: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if await asyncio.to_thread(lambda: index.status().mails) == mails:
                    return
            except PortError:
                pass
            await asyncio.sleep(0.02)


async def test_the_task_follows_and_makes_anew_what_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filterd.workers.indexer.LOOK_EVERY_S", 0.02)
    house = House(tmp_path)
    house.mail(0)
    reader = open_index(tmp_path, may_create=False)
    async with AsyncExitStack() as stack:
        start_indexer(stack, open_index(tmp_path), house.events, house.clock, retention_days=90)
        await until(reader, 1)
        house.mail(1)
        await until(reader, 2)
        (tmp_path / FILE_NAME).unlink()
        house.mail(0)
        await until(reader, 3)
    # It has ended, and its thread with it.
    assert [thread for thread in threading.enumerate() if thread.name.startswith("indexer")] == []
    house.mail(0)
    assert reader.status().mails == 3


async def test_an_index_that_is_away_is_tried_again_and_the_loop_never_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filterd.workers.indexer.LOOK_EVERY_S", 0.02)
    monkeypatch.setattr("filterd.workers.indexer._FIRST_PAUSE_S", 0.02)
    house = House(tmp_path)
    house.mail(0)
    # A folder stands where the file should: whatever is tried fails, then somebody takes it away.
    (tmp_path / FILE_NAME).mkdir()
    tried: list[int] = []
    for name in ("expire", "writers", "step", "forget"):
        true = getattr(Indexer, name)

        def noted(*args: Any, true: Any = true) -> Any:
            tried.append(threading.get_ident())
            return true(*args)

        monkeypatch.setattr(Indexer, name, noted)
    async with AsyncExitStack() as stack:
        start_indexer(stack, open_index(tmp_path), house.events, house.clock, retention_days=90)
        async with asyncio.timeout(PATIENCE_S):
            while len(tried) < 3:
                await asyncio.sleep(0.01)
        (tmp_path / FILE_NAME).rmdir()
        await until(open_index(tmp_path, may_create=False), 1)
    # One thread does it all, and it is not the loop's.
    assert len(set(tried)) == 1
    assert threading.get_ident() not in tried


KILLED = """
import os, signal, sys, threading
from datetime import timedelta
from pathlib import Path
from filterd.clients.clock import SystemClock
from filterd.clients.verdict_index import open_index
from filterd.workers.indexer import Indexer
folder = Path(sys.argv[1])
steps, delay_s = int(sys.argv[2]), float(sys.argv[3])
one = Indexer(open_index(folder), folder / "events", SystemClock(), retention=timedelta(days=36500))
while True:
    for writer in one.writers():
        if steps == 0:
            # Somewhere in the next transactions; these are all there will be.
            threading.Timer(delay_s, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        if steps == -5:
            threading.Event().wait()
        steps -= 1
        one.step(writer, 20)
"""


@pytest.mark.slow
def test_killed_anywhere_it_goes_on_without_a_gap_or_a_double(tmp_path: Path) -> None:
    house = House(tmp_path)
    for n in range(800):
        house.mail(n % 2)
    seen = set()
    for steps, delay_s in ((3, 0.002), (4, 0.007)):
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(steps), str(delay_s)]
        ended = subprocess.run(command, cwd=ROOT, env=dict(os.environ), timeout=PATIENCE_S, check=False).returncode
        assert ended == -signal.SIGKILL
        seen.add(sum(p.seq for p in house.index.status().positions.values()))
        house.agree()
    # It was in the midst of it, and came further each time.
    assert len(seen) > 1
    list(house.indexer.catch_up())
    house.agree()
    assert house.index.status().mails == 800
