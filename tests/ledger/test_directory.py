"""Who the subjects are: found by their login, kept under their own key, forgotten with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from filterd.errors import UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.schema import ALIAS, METADATA, SUBJECT_KEY
from filterd.model.principal import Account, Supplement, Tenant
from filterd.model.records import AccountChanged, TenantChanged
from filterd.ports import AccountRef
from tests.kit.clock import NOON
from tests.ledger.rig import ACCOUNT, TENANT, act, incident, open_engine, opened, people_the_directory

pytestmark = pytest.mark.slow

SPOKEN = ("wilhelmine", "oster", "privat.example", "Lindenhof", "chief@", "somebody@example.org")


def test_an_account_is_found_by_its_login(engine: LedgerEngine) -> None:
    engine.run(people_the_directory)
    assert engine.run(lambda txn: txn.find_account(ACCOUNT.login)) == AccountRef(
        account_id="a_1",
        tenant_id="n_1",
        login=ACCOUNT.login,
        agreement="tencent-exmail",
        language="de",
        tenant_domains=("example.com", "example.net"),
        seats=TENANT.seats,
    )
    assert engine.run(lambda txn: txn.find_account("Wilhelmine.Oster@example.com")) is None
    assert engine.run(lambda txn: txn.account("a_1")) == ACCOUNT
    assert engine.run(lambda txn: txn.tenant("n_1")) == TENANT
    assert engine.run(lambda txn: txn.tenant_of_domain("EXAMPLE.net")) == TENANT
    assert engine.run(lambda txn: txn.tenant_of_domain("example.org")) is None
    assert engine.run(lambda txn: txn.accounts()) == (ACCOUNT,)
    assert engine.run(lambda txn: txn.tenants()) == (TENANT,)


def test_putting_says_whether_anything_changed(engine: LedgerEngine) -> None:
    def put(txn: Any, tenant: Tenant, account: Account) -> tuple[bool, bool]:
        return txn.put_tenant(tenant), txn.put_account(account)

    assert engine.run(lambda txn: put(txn, TENANT, ACCOUNT)) == (True, True)
    assert engine.run(lambda txn: put(txn, TENANT, ACCOUNT)) == (False, False)
    moved = replace(TENANT, domains=("example.net", "example.org"), name="Lindenhof AG")
    renamed = replace(ACCOUNT, login="w.oster@example.com", contact=None)
    assert engine.run(lambda txn: put(txn, moved, renamed)) == (True, True)
    assert engine.run(lambda txn: txn.tenant("n_1")) == moved
    assert engine.run(lambda txn: txn.find_account(ACCOUNT.login)) is None
    found = engine.run(lambda txn: txn.find_account(renamed.login))
    assert found is not None
    assert found.tenant_domains == ("example.net", "example.org")


SIGNED = Supplement(
    agreement="aliyun-supplement",
    document="C-17, drawer 3",
    signed_by_provider=date(2026, 2, 1),
    signed_by_tenant=date(2026, 2, 20),
    categories=("malware", "spam.outbound"),
)


@pytest.mark.parametrize(
    "supplement", [SIGNED, replace(SIGNED, signed_by_tenant=None, effective_from=date(2027, 1, 1)), None]
)
def test_a_supplement_is_kept_as_it_was_signed(engine: LedgerEngine, supplement: Supplement | None) -> None:
    engine.run(people_the_directory)
    tenant = replace(TENANT, supplement=supplement, domains_declared=True, reseller="Huaxin")
    assert engine.run(lambda txn: txn.put_tenant(tenant)) is True
    assert engine.run(lambda txn: txn.put_tenant(tenant)) is False
    assert engine.run(lambda txn: txn.tenant("n_1")) == tenant
    found = engine.run(lambda txn: txn.find_account(ACCOUNT.login))
    assert found is not None
    assert (found.supplement, found.domains_declared) == (supplement, True)
    assert engine.run(lambda txn: txn.put_tenant(TENANT)) is True
    assert engine.run(lambda txn: txn.tenant("n_1")) == TENANT


def test_who_resells_is_sealed_and_what_was_signed_is_not(engine: LedgerEngine, state_dir: Path) -> None:
    engine.run(lambda txn: txn.put_tenant(replace(TENANT, supplement=SIGNED, reseller="Huaxin")))
    found = everything(state_dir, engine)
    assert b"Huaxin" not in found
    assert b"drawer 3" in found


async def test_changes_of_the_directory_are_rows_like_others(engine: LedgerEngine, state_dir: Path) -> None:
    engine.run(people_the_directory)
    changed = TenantChanged(
        at=NOON, tenant_id="n_1", by="ana", fields=("supplement", "name"), supplement=SIGNED
    )
    moved = AccountChanged(at=NOON, account_id="a_1", tenant_id="n_1", by="ana", fields=("contact",))
    engine.run(lambda txn: txn.append(changed, account_id=None, tenant_id="n_1"))
    engine.run(lambda txn: txn.append(moved, account_id="a_1", tenant_id="n_1"))
    assert [entry.record for entry in await engine.recent_entries(2)] == [moved, changed]
    assert engine.run(lambda txn: txn.records("a_1")) == (moved,)
    assert (await engine.verify()).is_sound


def test_what_is_taken_is_taken(engine: LedgerEngine) -> None:
    engine.run(people_the_directory)
    other = Tenant(tenant_id="n_2", name="x", agreement="y", domains=("example.com",))
    with pytest.raises(UsageError, match=r"example\.com belongs to n_1"):
        engine.run(lambda txn: txn.put_tenant(other))
    with pytest.raises(UsageError, match="belongs to a_1"):
        engine.run(lambda txn: txn.put_account(replace(ACCOUNT, account_id="a_2")))
    with pytest.raises(UsageError, match="no tenant n_9"):
        engine.run(lambda txn: txn.put_account(Account(account_id="a_2", tenant_id="n_9", login="b")))
    assert engine.run(lambda txn: (txn.accounts(), txn.tenants())) == ((ACCOUNT,), (TENANT,))


def test_any_text_can_be_stored(engine: LedgerEngine) -> None:
    odd = "\udcff\ud800\x00' \u2028"
    # What is sealed or hashed may be of any length, a column has one (FAULTS F15).
    long = odd + "x" * 10_000
    tenant = Tenant(tenant_id="n_1", name=long, agreement=odd, domains=(odd,), external_id=long, plan=odd)
    engine.run(lambda txn: txn.put_tenant(tenant))
    account = Account(account_id="a_1", tenant_id="n_1", login=long, contact=long, aliases=(odd,), external_id=long)
    engine.run(lambda txn: txn.put_account(account))
    engine.run(lambda txn: txn.put_person(odd, odd, odd))
    found = engine.run(lambda txn: txn.find_account(long))
    assert found is not None
    assert engine.run(lambda txn: txn.find_account(odd)).account_id == "a_1"
    assert engine.run(lambda txn: txn.account_by_external(long)).account_id == "a_1"
    assert engine.run(lambda txn: txn.tenant_by_external(long)).tenant_id == "n_1"
    assert engine.run(lambda txn: txn.put_account(Account(account_id="a_1", tenant_id="n_1", login=long))) is True
    record = replace(incident("a_1"), incident_id=odd, account_id=odd, evidence_key=odd)
    for _ in range(2):
        engine.run(lambda txn: txn.append(record, account_id=odd, tenant_id=odd, personal={odd: odd}))
    engine.run(lambda txn: txn.mark_deliveries(odd, odd, [odd], NOON))
    engine.run(lambda txn: txn.mark_deliveries(odd, odd, [odd], NOON))
    assert engine.run(lambda txn: txn.new_deliveries(odd, None, [odd, "new"])) == ("new",)
    assert engine.run(lambda txn: txn.post(odd, {odd: [odd]}, due_at=NOON, merge_key=odd)).startswith("o_")


def test_automatic_accounts_are_counted(engine: LedgerEngine) -> None:
    for number, (source, hours) in enumerate([("first_mail", 30), ("first_mail", 2), ("import", 1), ("first_mail", 0)]):
        record = opened(f"a_{number}", source, NOON - timedelta(hours=hours))
        engine.run(lambda txn, record=record: txn.append(record, account_id=record.account_id, tenant_id="n_1"))
    assert engine.run(lambda txn: txn.auto_created_since(NOON - timedelta(days=1))) == 2
    assert engine.run(lambda txn: txn.auto_created_since(NOON - timedelta(days=2))) == 3


def test_people_act_by_token(engine: LedgerEngine, state_dir: Path) -> None:
    engine.run(lambda txn: txn.put_person("Ana", "moderator", "token-1"))
    assert engine.run(lambda txn: txn.person("token-1")) == ("Ana", "moderator")
    assert engine.run(lambda txn: txn.person("token-2")) is None
    engine.run(lambda txn: txn.put_person("Ana", "admin", "token-2"))
    engine.run(lambda txn: txn.put_person("Bo", "moderator", "token-3"))
    assert engine.run(lambda txn: txn.person("token-1")) is None
    assert engine.run(lambda txn: txn.people()) == (("Ana", "admin"), ("Bo", "moderator"))
    with pytest.raises(UsageError, match="another person"):
        engine.run(lambda txn: txn.put_person("Cy", "admin", "token-3"))
    assert b"token-" not in everything(state_dir, engine)


def test_nothing_personal_stands_in_clear(engine: LedgerEngine, state_dir: Path) -> None:
    engine.run(people_the_directory)
    engine.run(lambda txn: act(txn, "a_1"))
    engine.run(lambda txn: txn.post("notice", {"to": ["chief@example.net"]}, due_at=NOON))
    engine.spool.put("t_1", b"From: Wilhelmine <wilhelmine.oster@example.com>")
    engine.run(lambda txn: txn.promote_evidence("t_1", "a_1", NOON))
    engine.spool.put("t_2", b"To: somebody@example.org")
    engine.run(lambda txn: txn.put_account(replace(ACCOUNT, aliases=("lindenhof@x",), external_id="wilhelmine-1")))
    found = everything(state_dir, engine).lower()
    assert b"a_1" in found
    for word in SPOKEN:
        assert word.lower().encode() not in found, word


def everything(directory: Path, engine: LedgerEngine) -> bytes:
    """Say all that is stored, the database's tables first, and close the ledger."""

    def tables(txn: Any) -> list[bytes]:
        rows = [row for table in METADATA.sorted_tables for row in txn.connection.execute(select(table))]
        return [cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row]

    stored = engine.run(tables)
    engine.stop()
    files = [file for file in directory.rglob("*") if file.is_file()]
    return b"\n".join(stored + [file.read_bytes() for file in files] + [str(file).encode() for file in files])


async def test_erasure_leaves_rows_that_verify(engine: LedgerEngine, state_dir: Path) -> None:
    engine.run(people_the_directory)
    for account_id in ("a_1", "a_2"):
        engine.run(lambda txn, account_id=account_id: act(txn, account_id))
    engine.spool.put("t_1", b"evidence")
    digest = engine.run(lambda txn: txn.promote_evidence("t_1", "a_1", NOON))
    assert digest is not None
    before = await engine.opened_entries("a_1")
    assert before[0].personal == {"recipient": "somebody@example.org"}

    assert await engine.erase_subject("a_1") is True
    assert await engine.erase_subject("a_1") is False
    after = await engine.opened_entries("a_1")
    assert [found.entry for found in after] == [found.entry for found in before]
    assert [found.personal for found in after] == [None, {}, {}]
    assert await engine.read_evidence(digest, "a_1") is None
    assert (await engine.opened_entries("a_2"))[0].personal == {"recipient": "somebody@example.org"}
    found = engine.run(lambda txn: (txn.account("a_1"), txn.find_account(ACCOUNT.login), txn.accounts()))
    assert found == (None, None, ())
    assert (await engine.verify()).is_sound

    # Whoever gets the address next is somebody else; the old id takes no more personal data, but its record goes on.
    engine.run(lambda txn: txn.put_account(replace(ACCOUNT, account_id="a_3")))
    with pytest.raises(UsageError, match="erased"):
        engine.run(lambda txn: txn.put_account(replace(ACCOUNT, login="other@example.com")))
    engine.run(lambda txn: act(txn, "a_1", 2))
    assert (await engine.opened_entries("a_1"))[3].entry.sealed is None
    engine.spool.put("t_2", b"more")
    assert engine.run(lambda txn: txn.promote_evidence("t_2", "a_1", NOON)) is None
    engine.stop()

    again = open_engine(state_dir)
    try:
        assert [found.personal for found in await again.opened_entries("a_1")] == [None, {}, {}, {}, {}, {}]
        assert (await again.verify()).is_sound
    finally:
        again.stop()


def test_an_erased_key_is_gone_from_the_file(engine: LedgerEngine, state_dir: Path) -> None:
    engine.run(lambda txn: act(txn, "a_1"))
    wrapped = engine.run(lambda txn: txn.connection.execute(select(SUBJECT_KEY.c.wrapped)).scalar_one())
    engine.run(lambda txn: txn.erase_subject("a_1"))
    found = everything(state_dir, engine)
    assert wrapped not in found
    assert wrapped[20:40] not in found


async def test_recent_entries_come_newest_first(engine: LedgerEngine) -> None:
    engine.run(lambda txn: act(txn, "a_1"))
    engine.run(lambda txn: act(txn, "a_2"))
    found = await engine.recent_entries(4)
    assert [entry.entry.seq for entry in found] == [6, 5, 4, 3]
    assert [entry.entry.account_id for entry in found] == ["a_2", "a_2", "a_2", "a_1"]


# --- aliases, the operator's ids, and who has left ------------------------------------------------------------------


ALIASED = replace(
    ACCOUNT, aliases=("office@example.com", "w@example.net"), external_id="uuid-1", send_as=("info@example.com",)
)
OTHER = Account(account_id="a_2", tenant_id="n_1", login="other@example.com")


def test_an_alias_leads_to_its_account_until_it_goes(engine: LedgerEngine) -> None:
    engine.run(people_the_directory)
    assert engine.run(lambda txn: txn.put_account(ALIASED)) is True
    assert engine.run(lambda txn: txn.put_account(ALIASED)) is False
    assert engine.run(lambda txn: txn.account("a_1")) == ALIASED
    found = engine.run(lambda txn: txn.find_account("w@example.net"))
    assert found is not None
    assert (found.account_id, found.login) == ("a_1", "w@example.net")
    # No login by itself, and no second way to be somebody's.
    assert engine.run(lambda txn: txn.account_with_login("w@example.net")) is None
    engine.run(lambda txn: txn.put_account(replace(ALIASED, aliases=("office@example.com",))))
    assert engine.run(lambda txn: txn.find_account("w@example.net")) is None
    assert engine.run(lambda txn: txn.find_account("office@example.com")) is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"login": "w@example.net"}, "this login belongs to a_1"),
        ({"aliases": (ACCOUNT.login,)}, "this alias belongs to a_1"),
        ({"aliases": ("w@example.net",)}, "this alias belongs to a_1"),
        ({"external_id": "uuid-1"}, "this external id belongs to a_1"),
    ],
)
def test_what_leads_to_one_account_leads_to_no_other(
    engine: LedgerEngine, change: dict[str, Any], words: str
) -> None:
    engine.run(people_the_directory)
    engine.run(lambda txn: txn.put_account(ALIASED))
    with pytest.raises(UsageError, match=words):
        engine.run(lambda txn: txn.put_account(replace(OTHER, **change)))
    assert engine.run(lambda txn: txn.account("a_2")) is None


def test_two_tenants_cannot_have_one_external_id(engine: LedgerEngine) -> None:
    engine.run(lambda txn: txn.put_tenant(replace(TENANT, external_id="T-1", plan="gold", expires_on=date(2027, 5, 1))))
    found = engine.run(lambda txn: txn.tenant_by_external("T-1"))
    assert found is not None
    assert (found.tenant_id, found.plan, found.expires_on) == ("n_1", "gold", date(2027, 5, 1))
    with pytest.raises(UsageError, match="this external id belongs to n_1"):
        engine.run(lambda txn: txn.put_tenant(Tenant(tenant_id="n_2", name="x", agreement="y", external_id="T-1")))
    # Somebody's id is no company's.
    engine.run(lambda txn: txn.put_account(replace(ACCOUNT, external_id="T-1")))
    assert engine.run(lambda txn: txn.account_by_external("T-1")).account_id == "a_1"


def test_a_retired_account_keeps_its_words_and_gives_up_its_addresses(engine: LedgerEngine) -> None:
    engine.run(people_the_directory)
    engine.run(lambda txn: txn.put_account(ALIASED))
    retired = replace(ALIASED, retired_at=NOON)
    engine.run(lambda txn: txn.put_account(retired))
    for address in (ACCOUNT.login, *ALIASED.aliases):
        assert engine.run(lambda txn, a=address: txn.find_account(a)) is None
    assert engine.run(lambda txn: txn.account("a_1")) == retired
    assert engine.run(lambda txn: txn.account_by_external("uuid-1")) == retired
    engine.run(lambda txn: txn.put_account(replace(OTHER, login=ACCOUNT.login, aliases=ALIASED.aliases)))
    assert engine.run(lambda txn: txn.find_account("w@example.net")).account_id == "a_2"
    # Taken up again under another login.
    back = replace(ALIASED, login="new@example.com", aliases=())
    engine.run(lambda txn: txn.put_account(back))
    assert engine.run(lambda txn: txn.find_account("new@example.com")).account_id == "a_1"


def test_erasure_takes_aliases_and_the_operators_id_with_it(engine: LedgerEngine) -> None:
    engine.run(people_the_directory)
    engine.run(lambda txn: txn.put_account(ALIASED))
    engine.run(lambda txn: txn.put_tenant(replace(TENANT, external_id="T-1")))
    engine.run(lambda txn: txn.erase_subject("a_1"))
    engine.run(lambda txn: txn.erase_subject("n_1"))
    assert engine.run(lambda txn: txn.connection.execute(select(ALIAS)).all()) == []
    assert engine.run(lambda txn: txn.account_by_external("uuid-1")) is None
    assert engine.run(lambda txn: txn.tenant_by_external("T-1")) is None
    engine.run(lambda txn: txn.put_tenant(replace(TENANT, tenant_id="n_2", domains=(), external_id="T-1")))
    engine.run(lambda txn: txn.put_account(replace(ALIASED, account_id="a_3", tenant_id="n_2")))
    assert engine.run(lambda txn: txn.find_account("w@example.net")).account_id == "a_3"


def test_the_domains_of_an_erased_tenant_stay_until_another_one_is_given_them(engine: LedgerEngine) -> None:
    """A service that has ended does not begin again with the next mail; a new owner of the domain can be entered."""
    engine.run(people_the_directory)
    heir = Tenant(tenant_id="n_2", name="Heir", agreement="tencent-exmail", domains=("example.net",))
    with pytest.raises(UsageError, match="belongs to n_1"):
        engine.run(lambda txn: txn.put_tenant(heir))
    engine.run(lambda txn: txn.erase_subject("n_1"))
    assert engine.run(lambda txn: txn.tenant_of_domain("example.net")).tenant_id == "n_1"
    engine.run(lambda txn: txn.put_tenant(heir))
    assert engine.run(lambda txn: txn.tenant_of_domain("example.net")).tenant_id == "n_2"
    assert engine.run(lambda txn: txn.tenant("n_1")).domains == ("example.com",)


def test_on_the_last_day_of_a_site_the_domains_go_too(engine: LedgerEngine) -> None:
    engine.run(people_the_directory)
    engine.run(lambda txn: txn.erase_subject("n_1", is_last=True))
    assert engine.run(lambda txn: txn.tenant("n_1")).domains == ()
    assert engine.run(lambda txn: txn.tenant_of_domain("example.com")) is None


def test_a_look_that_finds_nothing_new_makes_no_copy_stale(engine: LedgerEngine) -> None:
    engine.run(people_the_directory)
    told: list[None] = []
    engine.on_directory(lambda _: told.append(None))
    engine.run(lambda txn: txn.note_refreshed("a_1"))
    found = engine.run(lambda txn: txn.find_account(ACCOUNT.login))
    assert found is not None
    assert (found.refreshed_at, told) == (NOON, [])


async def test_a_copy_is_kept_as_long_as_it_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    from filterd.ledger import copies

    now, asked = [100.0], []
    monkeypatch.setattr(copies.time, "monotonic", lambda: now[0])
    kept = copies.DirectoryCopies()
    ref = AccountRef(
        account_id="a_1", tenant_id="n_1", login="x", agreement="y", language=None, tenant_domains=(), keep_s=5
    )

    async def ask() -> AccountRef:
        asked.append(now[0])
        return ref

    for at in (100.0, 104.9, 105.0, 105.1):
        now[0] = at
        assert await kept.account("x", ask) == ref
    assert asked == [100.0, 105.0]
    ref = replace(ref, keep_s=None)
    kept.forget()
    for at in (110.0, 1e9):
        now[0] = at
        await kept.account("x", ask)
    assert asked == [100.0, 105.0, 110.0]
