"""Whose login is it, by the operator's directory: asked once, believed where it is clear, and never waited for twice.

STANDING 5.7-19: strikes follow a person's mailbox, never an address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.fold import apply
from filterd.errors import LedgerUnavailable, PortError
from filterd.ledger.engine import LedgerEngine
from filterd.model.principal import Account, Tenant
from tests.cli.rig import open_ledger
from tests.kit.clock import NOON, FrozenClock
from tests.kit.postgres import Postgres
from tests.kit.waiting import soon
from tests.ledger.conftest import PATIENT
from tests.ledger.rig import KEYS
from tests.pipeline.sources import Directory, facts

pytestmark = pytest.mark.slow

ANN, BEA = "ann@acme.example", "bea@acme.example"
AWAY = PortError("book: away", temporary=True)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def engine(tmp_path: Path, clock: FrozenClock) -> Iterator[LedgerEngine]:
    engine = open_ledger(tmp_path / "state", KEYS, clock)
    yield engine
    engine.stop()


@pytest.fixture
def directory(engine: LedgerEngine, clock: FrozenClock) -> Directory:
    return Directory(engine, clock)


def account(directory: Directory, account_id: str) -> Account:
    found = directory.engine.run(lambda txn: txn.account(account_id))
    assert found is not None
    return found


def tenant_of(directory: Directory, domain: str) -> Tenant:
    found = directory.engine.run(lambda txn: txn.tenant_of_domain(domain))
    assert found is not None
    return found


# --- taking what is said ----------------------------------------------------------------------------------------------


async def test_an_unknown_login_comes_in_with_all_that_the_directory_says(directory: Directory) -> None:
    directory.book.people[ANN] = facts(
        external_id="7",
        aliases=("a@acme.example", "boss@acme.example"),
        send_as=("sales@acme.example",),
        contact="ann@home.example",
        language="zh-CN",
        expires_on=date(2027, 5, 1),
        tenant_external_id="acme",
        tenant_name="Acme 有限公司",
        tenant_contact="it@acme.example",
        tenant_expires_on=date(2028, 1, 1),
        domains=("acme.example", "acme.test"),
        seats=12,
        plan="gold",
        dealer="Huaxin",
        agreement="tencent-exmail",
    )
    found = await directory.ask(ANN)
    assert found is not None
    assert (found.plan, found.expires_on, found.tenant_expires_on) == ("gold", date(2027, 5, 1), date(2028, 1, 1))
    assert (found.language, found.tenant_domains, found.domains_declared) == (
        "zh-Hans",
        ("acme.example", "acme.test"),
        True,
    )
    assert account(directory, found.account_id) == Account(
        account_id=found.account_id,
        tenant_id=found.tenant_id,
        login=ANN,
        language="zh-Hans",
        contact="ann@home.example",
        aliases=("a@acme.example", "boss@acme.example"),
        send_as=("sales@acme.example",),
        external_id="7",
        expires_on=date(2027, 5, 1),
    )
    tenant = tenant_of(directory, "acme.test")
    assert (tenant.name, tenant.external_id, tenant.seats, tenant.reseller, tenant.contact) == (
        "Acme 有限公司",
        "acme",
        12,
        "Huaxin",
        "it@acme.example",
    )
    assert directory.kinds() == ["tenant.opened", "account.opened"]
    assert directory.last().record.source == "directory:book"
    assert await directory.id_of("boss@acme.example") == found.account_id


async def test_what_is_fresh_is_not_asked_for_again_and_what_is_stale_is(
    directory: Directory, clock: FrozenClock
) -> None:
    directory.book.people[ANN] = facts(external_id="7", plan="gold")
    first = await directory.ask(ANN)
    clock.advance(899)
    second = await directory.ask(ANN)
    assert first is not None
    assert second is not None
    assert (first.keep_s, second.keep_s) == (900, 1)
    assert directory.book.asked == [ANN]
    rows = directory.engine.tally.entries
    clock.advance(1)
    await directory.ask(ANN)
    assert directory.book.asked == [ANN, ANN]
    # Nothing has changed: no row says so.
    assert directory.engine.tally.entries == rows
    directory.book.people[ANN] = facts(external_id="7", plan="silver")
    clock.advance(900)
    third = await directory.ask(ANN)
    assert third is not None
    assert third.plan == "silver"
    assert (directory.last().entry.kind, directory.last().record.fields) == ("tenant.changed", ("plan",))
    # A clock that jumps back makes nothing fresh for ever.
    clock.set(NOON)
    await directory.ask(ANN)
    assert len(directory.book.asked) == 4


async def test_a_fact_that_the_source_does_not_have_stays_and_one_that_is_empty_goes(
    directory: Directory, clock: FrozenClock
) -> None:
    directory.book.people[ANN] = facts(external_id="7", contact="ann@home.example", seats=5)
    account_id = await directory.id_of(ANN)
    directory.book.people[ANN] = facts(external_id="7", seats=None)
    clock.advance(1000)
    await directory.ask(ANN)
    assert account(directory, account_id).contact == "ann@home.example"
    assert tenant_of(directory, "acme.example").seats is None


async def test_everybody_who_waits_for_a_login_waits_for_one_question(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.book.people[ANN] = facts(external_id="7")
    directory.book.gate = asyncio.Event()
    asking, ask_once = [], directory.lookups._ask_once

    def noted(login: str) -> Awaitable[Any]:
        asking.append(login)
        return ask_once(login)

    monkeypatch.setattr(directory.lookups, "_ask_once", noted)
    waiting = [asyncio.create_task(directory.id_of(ANN)) for _ in range(20)]
    await soon(lambda: len(asking) == 20 and directory.book.asked)
    # Whoever gives up takes the answer from nobody.
    waiting.pop(0).cancel()
    directory.book.gate.set()
    assert len(set(await asyncio.gather(*waiting))) == 1
    assert directory.book.asked == [ANN]


async def test_an_address_that_mail_only_names_is_not_asked_about(directory: Directory, clock: FrozenClock) -> None:
    directory.book.people[ANN] = facts(external_id="7")
    assert await directory.ask(ANN, may_create=False) is None
    assert directory.book.asked == []
    await directory.ask(ANN)
    clock.advance(1000)
    # Known and stale: a suspension must not outlive its account in the eyes of a new holder.
    assert await directory.ask(ANN, may_create=False) is not None
    assert directory.book.asked == [ANN, ANN]


@pytest.mark.parametrize(
    "said",
    [
        {"agreement": "nobody-knows"},
        {"language": "fr"},
        {"contact": "no address"},
        {"tenant_contact": "<x@y>"},
        {"aliases": (BEA,)},
        {"domains": ("acme.example", "other.example")},
    ],
)
async def test_what_cannot_be_taken_keeps_no_mail_waiting(directory: Directory, said: dict[str, Any]) -> None:
    directory.book.people[BEA] = facts(external_id="8")
    directory.book.people["x@other.example"] = facts(external_id="9", tenant_name="Other", domains=("other.example",))
    bea = await directory.id_of(BEA)
    await directory.ask("x@other.example")
    directory.book.people[ANN] = facts(external_id="7", **said)
    found = await directory.ask(ANN)
    assert found is not None
    assert (found.agreement, found.tenant_domains) == ("tencent-exmail", ("acme.example",))
    assert account(directory, found.account_id).aliases == ()
    assert await directory.id_of(BEA) == bea


# --- who somebody is --------------------------------------------------------------------------------------------------


async def test_a_rename_keeps_the_account(directory: Directory) -> None:
    directory.book.people[ANN] = facts(external_id="7", login=ANN)
    before = await directory.id_of(ANN)
    del directory.book.people[ANN]
    directory.book.people["ann@new.example"] = facts(external_id="7", login="ann@new.example")
    assert await directory.id_of("ann@new.example") == before
    row = directory.last()
    assert (row.entry.kind, row.record.fields) == ("account.changed", ("login",))
    assert row.personal == {"login": "ann@new.example", "former_login": ANN}
    # The tenant's new domain is the tenant's.
    assert tenant_of(directory, "new.example") == tenant_of(directory, "acme.example")


async def test_without_a_login_of_its_own_a_source_that_knows_aliases_renames_nobody(directory: Directory) -> None:
    directory.book.people[ANN] = facts(external_id="7")
    before = await directory.id_of(ANN)
    directory.book.people["boss@acme.example"] = facts(external_id="7")
    assert await directory.id_of("boss@acme.example") == before
    assert account(directory, before).login == ANN
    assert account(directory, before).aliases == ("boss@acme.example",)
    # And a rename is still one.
    del directory.book.people[ANN], directory.book.people["boss@acme.example"]
    directory.book.people["ann@acme.test"] = facts(external_id="7")
    assert await directory.id_of("ann@acme.test") == before
    assert account(directory, before).login == "ann@acme.test"


async def test_a_new_holder_of_an_address_is_a_new_account(directory: Directory, clock: FrozenClock) -> None:
    directory.book.people[ANN] = facts(external_id="7", aliases=("a@acme.example",))
    old = await directory.id_of(ANN)
    clock.advance(1000)
    directory.book.people[ANN] = facts(external_id="8", aliases=("a@acme.example",))
    new = await directory.id_of(ANN)
    assert new != old
    assert await directory.id_of("a@acme.example") == new
    left = account(directory, old)
    assert (left.retired_at, left.login, left.external_id) == (clock.now(), ANN, "7")
    assert directory.kinds() == ["tenant.opened", "account.opened", "account.retired", "account.opened"]
    row = directory.engine.run(lambda txn: txn.opened_entries(old))[-1]
    assert (row.record.because, row.record.by) == ("reused", "directory:book")


async def test_two_who_change_places_keep_their_records(directory: Directory, clock: FrozenClock) -> None:
    directory.book.people = {ANN: facts(external_id="7"), BEA: facts(external_id="8")}
    ann, bea = await directory.id_of(ANN), await directory.id_of(BEA)
    directory.book.people = {BEA: facts(external_id="7"), ANN: facts(external_id="8")}
    clock.advance(1000)
    assert (await directory.id_of(ANN), await directory.id_of(BEA)) == (bea, ann)
    assert account(directory, ann).retired_at is None
    assert account(directory, bea).retired_at is None


async def test_an_account_from_before_the_directory_is_told_apart_from_then_on(
    directory: Directory, clock: FrozenClock
) -> None:
    made_by_mail = await directory.id_of(ANN)
    tenant = tenant_of(directory, "acme.example")
    directory.book.people[ANN] = facts(external_id="7", tenant_external_id="acme", tenant_name="Acme")
    clock.advance(1000)
    directory.lookups._unknown.clear()
    assert await directory.id_of(ANN) == made_by_mail
    assert account(directory, made_by_mail).external_id == "7"
    named = tenant_of(directory, "acme.example")
    assert (named.tenant_id, named.name, named.external_id) == (tenant.tenant_id, "Acme", "acme")


async def test_a_mailbox_at_another_tenant_is_another_account_and_the_first_waits_for_its_person(
    directory: Directory, clock: FrozenClock
) -> None:
    def at(tenant: str) -> Any:
        return facts(external_id="7", tenant_external_id=tenant)

    directory.book.people[ANN] = at("acme")
    first = await directory.id_of(ANN)
    directory.book.people = {"ann@other.example": at("other")}
    second = await directory.id_of("ann@other.example")
    assert second != first
    assert account(directory, first).retired_at is not None
    assert account(directory, second).tenant_id == tenant_of(directory, "other.example").tenant_id
    directory.book.people = {ANN: at("acme")}
    clock.advance(1000)
    assert await directory.id_of(ANN) == first
    assert account(directory, first).retired_at is None
    assert account(directory, first).external_id == "7"
    assert account(directory, second).retired_at is not None


async def test_a_mailbox_that_goes_to_another_tenant_with_its_address_stays_itself(
    directory: Directory, clock: FrozenClock
) -> None:
    directory.book.people[ANN] = facts(external_id="7", tenant_external_id="acme", domains=("acme.example",))
    first = await directory.ask(ANN)
    directory.book.people[ANN] = facts(external_id="7", tenant_external_id="buyer", domains=("acme.example",))
    clock.advance(1000)
    second = await directory.ask(ANN)
    assert first is not None
    assert second is not None
    assert (second.account_id, second.tenant_id == first.tenant_id) == (first.account_id, False)
    assert tenant_of(directory, "acme.example").external_id == "buyer"


async def test_an_alias_goes_to_whom_the_directory_says_and_never_to_a_login(
    directory: Directory, clock: FrozenClock
) -> None:
    directory.book.people = {
        ANN: facts(external_id="7", aliases=("sales@acme.example",)),
        BEA: facts(external_id="8", aliases=()),
    }
    ann, bea = await directory.id_of(ANN), await directory.id_of(BEA)
    assert await directory.id_of("sales@acme.example") == ann
    clock.advance(1000)
    directory.book.people = {
        ANN: facts(external_id="7", aliases=()),
        BEA: facts(external_id="8", aliases=("sales@acme.example", ANN)),
    }
    assert await directory.id_of(BEA) == bea
    assert await directory.id_of("sales@acme.example") == bea
    assert await directory.id_of(ANN) == ann
    assert account(directory, bea).aliases == ("sales@acme.example",)


async def test_an_erased_person_who_comes_back_is_somebody_new(directory: Directory, clock: FrozenClock) -> None:
    directory.book.people[ANN] = facts(external_id="7", aliases=("a@acme.example",))
    old = await directory.id_of(ANN)
    await directory.engine.erase_subject(old)
    assert await directory.ask("a@acme.example", may_create=False) is None
    assert await directory.id_of(ANN) != old


# --- when it cannot say -----------------------------------------------------------------------------------------------


async def test_while_it_is_away_what_is_known_goes_on_and_what_is_not_waits(
    directory: Directory, clock: FrozenClock
) -> None:
    directory.book.people[ANN] = facts(external_id="7")
    known = await directory.id_of(ANN)
    clock.advance(1000)
    directory.book.error = AWAY
    found = await directory.ask(ANN)
    assert found is not None
    assert (found.account_id, found.keep_s) == (known, 5)
    with pytest.raises(LedgerUnavailable):
        await directory.ask(BEA)
    # Nobody else is kept waiting for what has just failed.
    assert directory.book.asked == [ANN, ANN]
    directory.book.error = None
    directory.lookups._away_until = 0.0
    directory.book.people[BEA] = facts(external_id="8")
    assert await directory.id_of(BEA) != known


async def test_first_mail_may_make_accounts_while_it_is_away(engine: LedgerEngine, clock: FrozenClock) -> None:
    directory = Directory(engine, clock, when_away="first_mail")
    directory.book.error = AWAY
    found = await directory.ask(ANN)
    assert found is not None
    assert found.keep_s == 5
    assert directory.last().record.source == "first_mail"


@pytest.mark.parametrize("unknown", ["first_mail", "nobody", "defer"])
async def test_a_login_that_is_not_there_does_as_the_operator_wants(
    engine: LedgerEngine, clock: FrozenClock, unknown: str
) -> None:
    directory = Directory(engine, clock, unknown=unknown)
    for _ in range(2):
        match unknown:
            case "first_mail":
                assert await directory.ask(ANN) is not None
            case "nobody":
                assert await directory.ask(ANN) is None
            case "defer":
                with pytest.raises(LedgerUnavailable):
                    await directory.ask(ANN)
    # Remembered: the directory is not asked about every mail of a stranger.
    assert directory.book.asked == [ANN]


async def test_what_is_unclear_of_one_login_is_nobody_elses_trouble(directory: Directory) -> None:
    directory.book.people[BEA] = facts(external_id="8")
    directory.book.error = PortError("book: two of them", temporary=False)
    with pytest.raises(LedgerUnavailable):
        await directory.ask(ANN)
    directory.book.error = None
    assert await directory.id_of(BEA)
    with pytest.raises(LedgerUnavailable):
        await directory.ask(ANN)
    assert directory.book.asked == [ANN, BEA]


# --- several nodes ----------------------------------------------------------------------------------------------------


@pytest.mark.database
async def test_two_nodes_that_meet_a_login_at_once_make_one_account(
    tmp_path: Path, clock: FrozenClock, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PATIENT.items():
        monkeypatch.setattr(name, value)
    url = postgres_server.new_database()
    engines = [
        LedgerEngine.open(
            state_dir=tmp_path / name, node=name, keys=KEYS, clock=clock, apply=lambda h, x, _: apply(h, x), url=url
        )
        for name in ("n1", "n2")
    ]
    try:
        nodes = [Directory(engine, clock) for engine in engines]
        logins = [f"u{number}@acme.example" for number in range(20)]
        for node in nodes:
            for number, login in enumerate(logins):
                said = facts(external_id=str(number), tenant_external_id="acme", aliases=("x" + login,))
                node.book.people[login] = said
        first, second = await asyncio.gather(
            *(asyncio.gather(*(node.id_of(login) for login in logins)) for node in nodes)
        )
        assert first == second
        assert len(set(first)) == len(logins)
        tenants = engines[0].run(lambda txn: txn.tenants())
        assert [tenant.external_id for tenant in tenants] == ["acme"]
        # Everybody takes the address of the next: whoever comes first, nobody ends up with another's account.
        for node in nodes:
            for number, login in enumerate(logins):
                node.book.people[login] = facts(external_id=str(number + 1), tenant_external_id="acme")
        clock.advance(1000)
        first, second = await asyncio.gather(
            *(asyncio.gather(*(node.id_of(login) for login in logins)) for node in nodes)
        )
        assert first == second
        found = [engines[0].run(lambda txn, x=x: txn.account_by_external(str(x + 1))) for x in range(len(logins))]
        assert [account.account_id for account in found if account is not None] == first
    finally:
        for engine in engines:
            engine.stop()
        postgres_server.drop(url)
