"""The link: two clients and one ledger, pushes, typed errors, never an older history."""

from __future__ import annotations

import asyncio

import pytest

from filterd.errors import PortError, RefusedError, UsageError
from filterd.ledger.remote import RemoteLedger
from filterd.model.decision import Case, Disposition
from filterd.model.principal import Tenant
from filterd.model.standing import History
from filterd.ports import Ledger
from tests.kit.waiting import soon
from tests.ledger.link_house import CASE, House, fields, objections
from tests.ledger.mails import mail
from tests.ledger.rig import ACCOUNT, TENANT, act, people_the_directory

pytestmark = pytest.mark.slow


@pytest.fixture(params=["local", "remote"])
async def ledger(request: pytest.FixtureRequest, house: House) -> Ledger:
    return house.local if request.param == "local" else await house.client()


async def test_a_first_mail_below_a_declared_domain_takes_it_from_nobody(ledger: Ledger, house: House) -> None:
    tenants = (
        Tenant(tenant_id="n_2", name="a", agreement="x", domains=("acme.example",), domains_declared=True),
        Tenant(tenant_id="n_3", name="b", agreement="x", domains=("www.news.acme.example",)),
        Tenant(tenant_id="n_4", name="c", agreement="x", domains=("shop.acme.example",), domains_declared=True),
        Tenant(tenant_id="n_5", name="d", agreement="x", domains=("www.open.example",)),
        Tenant(tenant_id="n_6", name="e", agreement="x", domains=("open.example",)),
    )
    await house.engine.submit(lambda txn: [txn.put_tenant(tenant) for tenant in tenants])
    assert await ledger.domain_owner("www.news.acme.example") == "n_2"
    assert await ledger.domain_owner("news.acme.example") is None
    assert await ledger.domain_owner("shop.acme.example") == "n_4"
    assert await ledger.domain_owner("www.open.example") == "n_5"


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
        "history": {"account_id": "a_1", "incidents": [], "sanctions": [], "holds": [], "further": []},
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


async def test_a_sanction_reaches_every_client(house: House) -> None:
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


async def test_directory_copies_go_stale_at_once(house: House) -> None:
    remote = await house.client()
    await house.engine.submit(people_the_directory)
    await told_so_far(remote)
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
    await told_so_far(remote)
    for ledger in (remote, house.local):
        assert (await ledger.account_for(ACCOUNT.login, may_create=False)).agreement == "other"
        assert await ledger.domain_owner("example.org") == "n_1"


async def told_so_far(remote: RemoteLedger) -> None:
    """Wait until a client has been told of all that was committed before now: what is pushed overtakes no answer."""
    remote._histories.clear()
    await remote.history("a_1")
