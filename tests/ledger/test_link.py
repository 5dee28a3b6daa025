"""The link: two clients and one ledger; pushes within a second, typed errors, a server that comes back."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import LedgerUnavailable, PeerError, PortError, RefusedError, UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.link import PROTOCOL, Verb, frame, read_frame
from filterd.ledger.local import LocalLedger
from filterd.ledger.remote import RemoteLedger
from filterd.ledger.server import LinkServer
from filterd.model.decision import Case, Decision, Disposition, MailFacts
from filterd.model.principal import NOBODY, Account
from filterd.model.session import Direction
from filterd.model.standing import History
from filterd.model.verdict import Assessment
from filterd.ports import Ledger, LedgerTxn
from tests.ledger.rig import ACCOUNT, AT, TENANT, act, open_engine, people_the_directory
from tests.ledger.test_counters import mail

CASE = Case(
    transaction_id="t_1",
    at=AT,
    direction=Direction.OUTBOUND,
    principal=NOBODY,
    evidence_key="e",
    delivery_keys=("k",),
    text_fp="f",
    facts=MailFacts(recipients=1, external_recipients=1, has_attachments=False, has_links=True),
    assessment=Assessment(verdicts=()),
    policy_digest="a_1",
)


def account_for(txn: LedgerTxn, arguments: dict[str, Any]) -> Any:
    found = txn.find_account(arguments["login"])
    if found is None and arguments["may_create"]:
        txn.put_account(Account(account_id="a_new", tenant_id="n_1", login=arguments["login"]))
        found = txn.find_account(arguments["login"])
    return found


def decide(txn: LedgerTxn, case: Case) -> Decision:
    act(txn, case.policy_digest, case.transaction_id)
    records = txn.records(case.policy_digest)[-3:]
    return Decision(
        decision_id="d", transaction_id=case.transaction_id, disposition=Disposition.REJECT, records=records
    )


def explode(txn: LedgerTxn, arguments: dict[str, Any]) -> Any:
    raise {"refused": RefusedError, "usage": UsageError, "port": PortError, "bug": ZeroDivisionError}[arguments["how"]](
        "because of \udcff"
    )


def people(txn: LedgerTxn, arguments: dict[str, Any]) -> Any:
    return {"person": txn.person(arguments["token"]), "history": txn.history("a_1")}


objections: list[tuple[str, str]] = []


def object_by_mail(txn: LedgerTxn, arguments: dict[str, Any]) -> None:
    objections.append((arguments["account_id"], arguments["transaction_id"]))


def dawdle(txn: LedgerTxn, arguments: dict[str, Any]) -> None:
    time.sleep(arguments["s"])


VERBS = {
    "account_for": Verb(request=None, response=None, run=account_for),
    "decide": Verb(request=Case, response=Decision, run=decide),
    "explode": Verb(request=None, response=None, run=explode),
    "people": Verb(request=None, response=None, run=people),
    "object_by_mail": Verb(request=None, response=None, run=object_by_mail),
    "dawdle": Verb(request=None, response=None, run=dawdle),
}


class House:
    """An engine with its server and as many clients as a test wants."""

    def __init__(self, state_dir: Path):
        self.state_dir = state_dir
        self.socket = state_dir / "ledger.sock"
        self.remotes: list[RemoteLedger] = []

    async def open(self) -> None:
        self.engine = open_engine(self.state_dir)
        self.local = LocalLedger(self.engine, VERBS)
        self.server = LinkServer(self.local, self.socket)
        await self.server.start()

    async def close(self) -> None:
        await self.server.close()
        await self.engine.close()

    async def client(self, **options: Any) -> RemoteLedger:
        remote = RemoteLedger(self.socket, **options)
        self.remotes.append(remote)
        await remote.start(wait_s=5)
        return remote


@pytest.fixture
async def house(state_dir: Path) -> AsyncIterator[House]:
    house = House(state_dir)
    await house.open()
    yield house
    for remote in house.remotes:
        await remote.close()
    await house.close()


async def soon(is_so: Callable[[], Any], within_s: float = 1.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "not within a second"
        await asyncio.sleep(0.002)


@pytest.fixture(params=["local", "remote"])
async def ledger(request: pytest.FixtureRequest, house: House) -> Ledger:
    return house.local if request.param == "local" else await house.client()


async def test_both_are_the_same_ledger(ledger: Ledger, house: House) -> None:
    await house.engine.submit(people_the_directory)
    found = await ledger.account_for(ACCOUNT.login, may_create=False)
    assert found is not None
    assert (found.account_id, found.tenant_domains) == ("a_1", TENANT.domains)
    assert await ledger.account_for("nobody@example.com", may_create=False) is None
    assert (await ledger.account_for("nobody@example.com", may_create=True)).account_id == "a_new"
    assert await ledger.domain_owner("example.com") == "n_1"
    assert await ledger.domain_owner("example.org") is None

    assert await ledger.history("a_1") == History(account_id="a_1")
    decision = await ledger.decide(CASE)
    assert decision.disposition is Disposition.REJECT
    assert decision.records == house.engine.run(lambda txn: txn.records("a_1"))
    assert len((await ledger.history("a_1")).sanctions) == 1
    assert await ledger.history("a_1") == await house.engine.history("a_1")

    assert (await ledger.count(mail(1, recipients=3))).recipients_hour == 3
    await ledger.object_by_mail("a_1", "t_9")
    assert objections[-1] == ("a_1", "t_9")


async def test_verbs_speak_json(ledger: Ledger, house: House) -> None:
    await house.engine.submit(lambda txn: txn.put_person("Ana", "moderator", "secret"))
    found = await ledger.call("people", {"token": "secret"})
    assert found == {
        "person": ["Ana", "moderator"],
        "history": {"account_id": "a_1", "incidents": [], "sanctions": [], "holds": []},
    }


@pytest.mark.parametrize(
    ("how", "expected", "words"),
    [("refused", RefusedError, "because of"), ("usage", UsageError, "because of"), ("port", PortError, "because of")],
)
async def test_errors_keep_their_type(ledger: Ledger, how: str, expected: type[Exception], words: str) -> None:
    with pytest.raises(expected, match=words) as caught:
        await ledger.call("explode", {"how": how})
    assert type(caught.value) is expected
    with pytest.raises(UsageError, match="no verb 'nonsense'"):
        await ledger.call("nonsense", {})
    with pytest.raises(UsageError, match="transaction_id: missing"):
        await ledger.call("decide", {"at": "2026-01-01T00:00:00.000000Z"})


async def test_a_bug_keeps_its_text_to_itself(house: House) -> None:
    remote = await house.client()
    with pytest.raises(PortError, match=r"^ledger: internal error in 'explode'$") as caught:
        await remote.call("explode", {"how": "bug"})
    assert caught.value.temporary


async def test_a_sanction_reaches_every_client_within_a_second(house: House) -> None:
    first, second = await house.client(), await house.client()
    for remote in (first, second):
        assert (await remote.history("a_1")).sanctions == ()
    await second.history("a_2")
    await first.decide(CASE)
    # The client that asked has it with the answer, the other soon.
    assert len(first._histories["a_1"].sanctions) == 1
    await soon(lambda: second._histories["a_1"].sanctions)
    assert (await second.history("a_2")).sanctions == ()
    # A person's act in the ledger process, too.
    await house.engine.submit(lambda txn: act(txn, "a_2"))
    await soon(lambda: second._histories["a_2"].sanctions)
    assert "a_2" not in first._histories


async def test_no_history_is_ever_older_than_one_seen_before(house: House) -> None:
    remotes = [await house.client() for _ in range(3)]
    lengths: list[list[int]] = [[] for _ in remotes]
    is_over = asyncio.Event()

    async def watch(remote: RemoteLedger, seen: list[int]) -> None:
        while not is_over.is_set():
            if len(seen) % 3 == 0:
                remote._histories.clear()
            seen.append(len((await remote.history("a_1")).sanctions))
            await asyncio.sleep(0)

    watches = [asyncio.create_task(watch(*pair)) for pair in zip(remotes, lengths, strict=True)]
    await asyncio.gather(*(house.engine.submit(lambda txn, n=n: act(txn, "a_1", n)) for n in range(60)))
    is_over.set()
    await asyncio.gather(*watches)
    for seen in lengths:
        assert seen == sorted(seen)
    for remote in remotes:
        await soon(lambda remote=remote: len(remote._histories["a_1"].sanctions) == 60)


async def test_many_requests_at_once(house: House) -> None:
    remote = await house.client()

    async def one(number: int) -> int:
        decision = await remote.decide(Case(**{**fields(CASE), "transaction_id": f"t_{number}"}))
        assert decision.transaction_id == f"t_{number}"
        return (await remote.count(mail(number))).messages_hour

    counts = await asyncio.gather(*(one(number) for number in range(150)))
    assert sorted(counts) == list(range(1, 151))
    assert len((await remote.history("a_1")).incidents) == 150


def fields(case: Case) -> dict[str, Any]:
    return {name: getattr(case, name) for name in Case.__slots__}


async def test_directory_copies_go_stale_at_once(house: House) -> None:
    remote = await house.client()
    await house.engine.submit(people_the_directory)
    await asyncio.sleep(0.05)
    for ledger in (remote, house.local):
        assert (await ledger.account_for(ACCOUNT.login, may_create=False)).agreement == "tencent-exmail"
        assert await ledger.domain_owner("example.org") is None
    commits = house.engine.tally.functions
    for ledger in (remote, house.local):
        await ledger.account_for(ACCOUNT.login, may_create=False)
    assert house.engine.tally.functions == commits

    changed = {**{name: getattr(TENANT, name) for name in type(TENANT).__slots__}, "agreement": "other"}
    changed["domains"] = (*TENANT.domains, "example.org")
    await house.engine.submit(lambda txn: txn.put_tenant(type(TENANT)(**changed)))
    await asyncio.sleep(0.05)
    for ledger in (remote, house.local):
        assert (await ledger.account_for(ACCOUNT.login, may_create=False)).agreement == "other"
        assert await ledger.domain_owner("example.org") == "n_1"


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
    await soon(lambda: remote.is_connected, within_s=5)
    await remote.decide(CASE)
    assert len((await remote.history("a_1")).sanctions) == 1


async def test_requests_under_way_fail_when_the_connection_breaks(house: House) -> None:
    remote = await house.client()
    asking = [asyncio.create_task(remote.call("dawdle", {"s": 0.3})) for _ in range(3)]
    await asyncio.sleep(0.1)
    for client in house.server._clients:
        client.writer.transport.abort()
    for task in asking:
        with pytest.raises(LedgerUnavailable):
            await task


async def test_a_deadline(house: House) -> None:
    remote = await house.client(deadline_s=0.1)
    with pytest.raises(LedgerUnavailable, match=r"no answer to 'dawdle' in 0\.1 s"):
        await remote.call("dawdle", {"s": 0.3})
    # The late answer belongs to nobody and disturbs nobody.
    await asyncio.sleep(0.3)
    assert await remote.domain_owner("x") is None


async def test_without_a_ledger(tmp_path: Path) -> None:
    remote = RemoteLedger(tmp_path / "none.sock")
    with pytest.raises(LedgerUnavailable, match="not started"):
        await remote.history("a_1")
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
        frame({"hello": PROTOCOL + 1}),
        frame({"hello": PROTOCOL}) + b"\x00\x00\x00\x02\x00\x00\x00\x00{]",
        frame({"hello": PROTOCOL}) + b"\x00\x00\x00\x02\x00\x00\x00\x00[]",
        frame({"hello": PROTOCOL}) + frame({"id": "x", "verb": 3}),
        b"\xff" * 8,
    ],
)
async def test_nonsense_is_hung_up_on(house: House, octets: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(octets)
    assert await read_frame(reader) == ({"hello": PROTOCOL}, b"")
    async with asyncio.timeout(2):
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
    with pytest.raises(LedgerUnavailable, match="version 0"):
        await remote.start(wait_s=0.3)
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


def test_the_engine_is_a_ledger_for_mypy(engine: LedgerEngine) -> None:
    def takes(ledger: Ledger) -> Ledger:
        return ledger

    assert takes(RemoteLedger(Path("x"))) is not None
