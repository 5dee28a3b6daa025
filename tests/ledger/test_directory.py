"""Who the subjects are: found by their login, kept under their own key, forgotten with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.model.principal import Account, Supplement, Tenant
from filterd.model.records import AccountChanged, TenantChanged
from filterd.ports import AccountRef
from tests.kit.clock import NOON
from tests.ledger.rig import ACCOUNT, TENANT, act, incident, open_engine, opened, people_the_directory

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
    engine.stop()
    found = everything(state_dir)
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
    odd = "\udcff\ud800\x00' \u2028" + "x" * 10_000
    engine.run(lambda txn: txn.put_tenant(Tenant(tenant_id="n_1", name=odd, agreement=odd, domains=(odd,))))
    engine.run(lambda txn: txn.put_account(Account(account_id="a_1", tenant_id="n_1", login=odd, contact=odd)))
    engine.run(lambda txn: txn.put_person(odd, odd, odd))
    found = engine.run(lambda txn: txn.find_account(odd))
    assert found is not None
    assert engine.run(lambda txn: txn.put_account(Account(account_id="a_1", tenant_id="n_1", login=odd))) is True
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
    engine.stop()
    assert b"token-" not in everything(state_dir)


def test_nothing_personal_stands_in_clear(engine: LedgerEngine, state_dir: Path) -> None:
    engine.run(people_the_directory)
    engine.run(lambda txn: act(txn, "a_1"))
    engine.run(lambda txn: txn.post("notice", {"to": ["chief@example.net"]}, due_at=NOON))
    engine.spool.put("t_1", b"From: Wilhelmine <wilhelmine.oster@example.com>")
    engine.run(lambda txn: txn.promote_evidence("t_1", "a_1", NOON))
    engine.spool.put("t_2", b"To: somebody@example.org")
    engine.stop()
    found = everything(state_dir).lower()
    assert b"a_1" in found
    for word in SPOKEN:
        assert word.lower().encode() not in found, word


def everything(directory: Path) -> bytes:
    files = [file for file in directory.rglob("*") if file.is_file()]
    return b"\n".join([file.read_bytes() for file in files] + [str(file).encode() for file in files])


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
    from sqlalchemy import select

    from filterd.ledger.schema import SUBJECT_KEY

    engine.run(lambda txn: act(txn, "a_1"))
    wrapped = engine.run(lambda txn: txn.connection.execute(select(SUBJECT_KEY.c.wrapped)).scalar_one())
    engine.run(lambda txn: txn.erase_subject("a_1"))
    engine.stop()
    assert wrapped not in everything(state_dir)
    assert wrapped[20:40] not in everything(state_dir)


async def test_recent_entries_come_newest_first(engine: LedgerEngine) -> None:
    engine.run(lambda txn: act(txn, "a_1"))
    engine.run(lambda txn: act(txn, "a_2"))
    found = await engine.recent_entries(4)
    assert [entry.entry.seq for entry in found] == [6, 5, 4, 3]
    assert [entry.entry.account_id for entry in found] == ["a_2", "a_2", "a_2", "a_1"]
