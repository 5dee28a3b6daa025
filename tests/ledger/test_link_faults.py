"""The link when things go wrong: restarts, broken connections, deadlines, nonsense, another version."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from filterd.errors import LedgerUnavailable, PeerError, UsageError
from filterd.ledger.link import OLDEST_PROTOCOL, PROTOCOL, Verb, frame, read_frame, write_body
from filterd.ledger.local import LocalLedger
from filterd.ledger.remote import RemoteLedger
from filterd.ledger.server import LinkServer
from filterd.model.decision import Case, Counts, Decision
from filterd.model.standing import History
from filterd.ports import CountRequest
from tests.kit.waiting import PATIENCE_S, must, soon
from tests.ledger.link_house import CASE, VERBS, House
from tests.ledger.mails import mail
from tests.ledger.rig import AT, act, open_engine

pytestmark = pytest.mark.slow


async def test_a_ledger_that_goes_and_comes_back(house: House) -> None:
    remote = await house.client()
    await remote.history("a_1")
    await house.close()
    await soon(lambda: not remote.is_connected)
    with pytest.raises(LedgerUnavailable):
        await remote.history("a_1")
    for ask in (remote.decide(CASE), remote.count(mail(1)), remote.call("people", {}), remote.domain_owner("x")):
        with pytest.raises(LedgerUnavailable, match=r"ledger\.sock"):
            await ask
    await house.open()
    await soon(lambda: remote.is_connected)
    await remote.decide(CASE)
    assert len((await remote.history("a_1")).sanctions) == 1


async def test_requests_under_way_fail_when_the_connection_breaks(house: House) -> None:
    remote = await house.client()
    asking = [asyncio.create_task(remote.call("linger", {})) for _ in range(3)]
    await asyncio.to_thread(must, house.begun)
    for client in house.server._clients:
        client.writer.transport.abort()
    for task in asking:
        with pytest.raises(LedgerUnavailable):
            await task


async def test_a_deadline(house: House) -> None:
    remote = await house.client(deadline_s=0.1)
    with pytest.raises(LedgerUnavailable, match=r"no answer to 'linger' in 0\.1 s"):
        await remote.call("linger", {})
    # The late answer belongs to nobody and disturbs nobody. The next one comes behind it.
    remote._deadline_s = PATIENCE_S
    house.go.set()
    assert await remote.domain_owner("x") is None


async def test_without_a_ledger(tmp_path: Path) -> None:
    remote = RemoteLedger(tmp_path / "none.sock")
    with pytest.raises(LedgerUnavailable, match="not started"):
        await remote.history("a_1")
    await remote.start()
    await soon(lambda: remote._why != "not started")
    with pytest.raises(LedgerUnavailable, match="No such file"):
        await remote.start(wait_s=0.1)
    await remote.close()
    with pytest.raises(UsageError, match="107 octets"):
        RemoteLedger(tmp_path / ("x" * 120))


async def test_the_socket_is_for_the_group(house: House) -> None:
    mode = house.socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    await house.server.close()
    assert not house.socket.exists()


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frame({"hello": PROTOCOL + 1, "upto": PROTOCOL + 2}),
        frame({"hello": 0}),
        frame({"hello": 2, "upto": 1}),
        frame({"hello": "1"}),
        frame({"hello": PROTOCOL}) + b"\x00\x00\x00\x02\x00\x00\x00\x00{]",
        frame({"hello": PROTOCOL}) + b"\x00\x00\x00\x02\x00\x00\x00\x00[]",
        frame({"hello": PROTOCOL}) + frame({"id": "x", "verb": 3}),
        b"\xff" * 8,
    ],
)
async def test_nonsense_is_hung_up_on(house: House, octets: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(octets)
    assert await read_frame(reader) == ({"hello": OLDEST_PROTOCOL, "upto": PROTOCOL}, b"")
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == b""
    writer.close()
    assert await (await house.client()).domain_owner("x") is None


async def test_another_version_of_the_ledger_is_refused(tmp_path: Path) -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame({"hello": 0}))
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(old, tmp_path / "s")
    remote = RemoteLedger(tmp_path / "s")
    await remote.start()
    await soon(lambda: remote._why != "not started")
    with pytest.raises(LedgerUnavailable, match="speaks versions 0 to 0"):
        await remote.start(wait_s=0.1)
    await remote.close()
    server.close()


async def test_an_answer_that_does_not_fit_is_a_peer_error(house: House) -> None:
    remote = await house.client()
    house.local._verbs["decide"] = Verb(request=Case, response=Decision, run=lambda txn, case: {"x": 1})
    with pytest.raises(PeerError, match="decision_id: missing"):
        await remote.decide(CASE)


async def test_a_bounded_memory_says_what_it_forgot(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.ledger.remote._HISTORIES_AT_MOST", 100)
    remote = await house.client()
    for number in range(150):
        await remote.history(f"a_{number}")
    assert len(remote._histories) <= 100
    (client,) = house.server._clients
    await soon(lambda: client.wanted == set(remote._histories))


async def test_eviction_in_the_ledger_changes_nothing(state_dir: Path) -> None:
    house = House(state_dir)
    house.engine = open_engine(state_dir, warm_accounts=2)
    house.local = LocalLedger(house.engine, VERBS)
    house.server = LinkServer(house.local, house.socket)
    await house.server.start()
    remote = await house.client()
    for number in range(10):
        await house.engine.submit(lambda txn, number=number: act(txn, f"a_{number}"))
    histories = await asyncio.gather(*(remote.history(f"a_{number}") for number in range(10)))
    assert [len(history.sanctions) for history in histories] == [1] * 10
    await remote.close()
    await house.close()


async def test_a_worker_of_the_version_before_is_served(house: House) -> None:
    """While a node is upgraded: it says one number, and knows neither batches nor weather."""
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(frame({"hello": OLDEST_PROTOCOL}))
    said = await read_frame(reader)
    assert said is not None
    # It goes on only when the first number is its own.
    assert said[0]["hello"] == OLDEST_PROTOCOL
    writer.write(frame({"id": 7, "verb": "history"}, write_body("a_1")))
    assert await read_frame(reader) == ({"id": 7}, write_body(History(account_id="a_1")))
    # What it cannot be told, it must ask for again.
    house.server._push_weather(False)
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == b""
    writer.close()


async def test_a_ledger_of_the_version_before_is_talked_to(tmp_path: Path) -> None:
    asked: list[str] = []

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame({"hello": OLDEST_PROTOCOL}))
        first = await read_frame(reader)
        assert first is not None
        assert first[0]["hello"] == OLDEST_PROTOCOL
        while (received := await read_frame(reader)) is not None:
            asked.append(received[0]["verb"])
            body = write_body(Counts(messages_hour=3)) if received[0]["verb"] == "count" else write_body(None)
            writer.write(frame({"id": received[0]["id"]}, body))
        writer.close()

    server = await asyncio.start_unix_server(old, tmp_path / "s")
    remote = RemoteLedger(tmp_path / "s", deadline_s=PATIENCE_S)
    await remote.start(wait_s=PATIENCE_S)
    counts = await asyncio.gather(*(remote.count(submission(n)) for n in range(3)))
    assert {found.messages_hour for found in counts} == {3}
    assert await remote.domain_owner("example.com") is None
    assert asked == ["count", "count", "count", "domain_owner"]
    await remote.close()
    server.close()


def submission(number: int) -> CountRequest:
    return CountRequest(
        account_id="a_1", at=AT, evidence_key=f"e{number}", delivery_keys=(f"k{number}",), recipient_hashes=()
    )
