"""The operator's lists in a real ledger: whole or not at all, twice changes nothing, every wrong cell has its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import RefusedError, UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.model.principal import Account, Tenant
from filterd.pipeline import person_acts, senders
from filterd.pipeline.import_rows import MAX_ROWS
from filterd.pipeline.imports import ImportVerbs
from filterd.pipeline.verbs import AccountQuery, DeskRules, MailVerbs
from tests.cli.rig import desk_rules, open_ledger
from tests.kit.clock import FrozenClock
from tests.ledger.rig import KEYS

pytestmark = pytest.mark.slow


class Desk:
    """The verbs on a real ledger, as a named admin."""

    def __init__(self, engine: LedgerEngine, rules: DeskRules):
        self.engine, self.verbs = engine, ImportVerbs(rules).table() | person_acts.table()
        self.mail = MailVerbs(rules)
        self.token = self.call("person.add", {"name": "dana", "role": "admin"})["token"]

    def call(self, verb: str, arguments: dict[str, Any]) -> Any:
        return self.engine.run(lambda txn: self.verbs[verb](txn, arguments))

    def take(self, verb: str, *rows: dict[str, Any], **more: Any) -> Any:
        numbered = [{"line": number, **row} for number, row in enumerate(rows, start=2)]
        return self.call(verb, {"token": self.token, "rows": numbered, **more})

    def tenants(self, *rows: dict[str, Any], **more: Any) -> Any:
        return self.take("tenant.import", *rows, **more)

    def accounts(self, *rows: dict[str, Any], **more: Any) -> Any:
        return self.take("account.import", *rows, **more)

    def tenant(self, domain: str) -> Tenant | None:
        return self.engine.run(lambda txn: txn.tenant_of_domain(domain))

    def account(self, login: str) -> Account | None:
        def find(txn: Any) -> Account | None:
            ref = txn.find_account(login)
            return None if ref is None else txn.account(ref.account_id)

        return self.engine.run(find)

    def first_mail(self, login: str) -> None:
        self.engine.run(lambda txn: self.mail.account_for(txn, AccountQuery(login=login, may_create=True)))

    def rows(self) -> int:
        """Say how many rows the ledger has been given."""
        return self.engine.tally.entries


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    engine = open_ledger(tmp_path / "state", KEYS, FrozenClock())
    yield Desk(engine, desk_rules())
    engine.stop()


ACME = {"name": "Acme 有限公司", "domains": "acme.example; acme.test", "contact": "boss@acme.example", "seats": "12"}


def errors(said: dict[str, Any]) -> list[tuple[int, str]]:
    return [(error["line"], error["key"]) for error in said["errors"]]


# --- tenants ----------------------------------------------------------------------------------------------------------


def test_a_new_tenant_stands_in_the_directory_and_in_the_ledger(desk: Desk) -> None:
    before = desk.rows()
    said = desk.tenants({**ACME, "language": "zh-Hans"})
    assert (said["created"], said["changed"], said["unchanged"], said["errors"]) == (1, 0, 0, [])
    tenant = desk.tenant("acme.test")
    assert tenant is not None
    assert (tenant.name, tenant.agreement, tenant.domains) == (
        "Acme 有限公司",
        "tencent-exmail",
        ("acme.example", "acme.test"),
    )
    assert (tenant.language, tenant.contact, tenant.seats) == ("zh-Hans", "boss@acme.example", 12)
    assert desk.rows() == before + 1
    opened = desk.engine.run(lambda txn: txn.recent_entries(1))[0]
    assert (opened.entry.kind, opened.record.source) == ("tenant.opened", "import:dana")


def test_the_same_list_twice_changes_nothing(desk: Desk) -> None:
    desk.tenants(ACME)
    before = desk.rows()
    said = desk.tenants(ACME)
    assert (said["created"], said["changed"], said["unchanged"], said["changes"]) == (0, 0, 1, [])
    assert desk.rows() == before


def test_a_dry_run_says_what_would_change_and_changes_nothing(desk: Desk) -> None:
    desk.tenants(ACME)
    said = desk.tenants({"name": "Acme 有限公司", "seats": 30}, {"name": "New", "domains": "new.example"}, dry_run=True)
    assert (said["dry_run"], said["created"], said["changed"]) == (True, 1, 1)
    assert said["changes"][0] == {
        "line": 2,
        "what": "change",
        "name": "Acme 有限公司",
        "fields": {"seats": {"from": 12, "to": 30}},
    }
    assert said["changes"][1]["fields"]["domains"] == {"from": None, "to": ["new.example"]}
    assert desk.tenant("new.example") is None
    assert desk.tenant("acme.example").seats == 12  # type: ignore[union-attr]


def test_a_column_left_out_keeps_and_an_empty_cell_takes_away(desk: Desk) -> None:
    desk.tenants({**ACME, "language": "en"})
    desk.tenants({"name": ACME["name"], "contact": None})
    tenant = desk.tenant("acme.example")
    assert tenant is not None
    assert (tenant.contact, tenant.language, tenant.seats, len(tenant.domains)) == (None, "en", 12, 2)
    assert desk.tenants({"name": ACME["name"], "agreement": None})["unchanged"] == 1


def test_domains_come_as_text_or_as_a_list_and_in_one_spelling(desk: Desk) -> None:
    desk.tenants({"name": "A", "domains": "Bücher.Example, b.example"}, {"name": "C", "domains": ["D.example."]})
    assert desk.tenant("xn--bcher-kva.example").name == "A"  # type: ignore[union-attr]
    assert desk.tenant("d.example").name == "C"  # type: ignore[union-attr]


def test_a_tenant_made_by_first_mail_is_named_by_the_list_that_has_its_domain(desk: Desk) -> None:
    desk.first_mail("ann@acme.example")
    made = desk.tenant("acme.example")
    said = desk.tenants(ACME)
    assert (said["created"], said["changed"]) == (0, 1)
    named = desk.tenant("acme.example")
    assert made is not None
    assert named is not None
    assert (named.tenant_id, named.name) == (made.tenant_id, ACME["name"])
    assert desk.tenants(ACME)["unchanged"] == 1


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        ({"name": ""}, "name", "is empty"),
        ({"name": None}, "name", "is empty"),
        ({"name": 7}, "name", "must be text"),
        ({"name": "a\u202eb"}, "name", "cannot be printed"),
        ({"name": "X", "agreement": "nobody-knows"}, "agreement", "tencent-exmail"),
        ({"name": "X", "domains": "a.example b@c"}, "domains", "'b@c'"),
        ({"name": "X", "domains": "localhost"}, "domains", "not a domain name"),
        ({"name": "X", "domains": [3]}, "domains", "list of text"),
        ({"name": "X", "domains": "taken.example"}, "domains", "belongs to tenant 'Owner'"),
        ({"name": "X", "language": "fr"}, "language", "zh-Hans"),
        ({"name": "X", "contact": "nobody"}, "contact", "no domain"),
        ({"name": "X", "seats": "many"}, "seats", "whole number"),
        ({"name": "X", "seats": 0}, "seats", "whole number"),
        ({"name": "X", "seats": True}, "seats", "whole number"),
        ({"name": "Good", "seats": 3}, "name", "line 2 already"),
        ({"name": "X", "domains": "good.example"}, "domains", "line 2 already"),
    ],
)
def test_one_wrong_tenant_keeps_the_whole_list_out(desk: Desk, row: dict[str, Any], key: str, words: str) -> None:
    desk.tenants({"name": "Owner", "domains": "taken.example"})
    before = desk.rows()
    said = desk.tenants({"name": "Good", "domains": "good.example"}, row)
    assert errors(said) == [(3, key)]
    assert words in said["errors"][0]["message"]
    assert (said["created"], said["changes"]) == (0, [])
    assert desk.rows() == before
    assert desk.tenant("good.example") is None


def test_every_wrong_row_is_named_in_order(desk: Desk) -> None:
    said = desk.tenants({"name": "A", "seats": -1}, {"name": "B"}, {"name": "", "seats": 1}, {"name": "B"})
    assert errors(said) == [(2, "seats"), (4, "name"), (5, "name")]


# --- accounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", ["Acme 有限公司", "acme.test", "ACME.example", None, ""])
def test_an_account_finds_its_tenant(desk: Desk, tenant: str | None) -> None:
    desk.tenants(ACME)
    said = desk.accounts(
        {"login": "Ann@Acme.example", "tenant": tenant, "language": "en", "contact": "ann@home.example"}
    )
    assert (said["created"], said["errors"]) == (1, [])
    account = desk.account("ann@acme.example")
    assert account is not None
    assert account.tenant_id == desk.tenant("acme.example").tenant_id  # type: ignore[union-attr]
    assert (account.language, account.contact) == ("en", "ann@home.example")
    opened = desk.engine.run(lambda txn: txn.recent_entries(1))[0]
    assert (opened.entry.kind, opened.record.source, opened.personal) == (
        "account.opened",
        "import:dana",
        {"login": "ann@acme.example"},
    )


def test_an_account_is_found_by_its_tenants_id(desk: Desk) -> None:
    desk.tenants(ACME)
    tenant_id = desk.tenant("acme.example").tenant_id  # type: ignore[union-attr]
    assert desk.accounts({"login": "root", "tenant": tenant_id})["created"] == 1
    assert desk.account("root") is not None


def test_an_account_list_is_idempotent_and_can_move_an_account(desk: Desk) -> None:
    desk.tenants(ACME, {"name": "Other", "domains": "other.example"})
    row = {"login": "ann@acme.example", "tenant": "acme.example"}
    desk.accounts(row)
    assert desk.accounts(row)["unchanged"] == 1
    # Without a tenant an account stays where it is.
    assert desk.accounts({"login": "ann@acme.example"})["unchanged"] == 1
    said = desk.accounts({**row, "tenant": "Other"})
    assert (said["changed"], list(said["changes"][0]["fields"])) == (1, ["tenant_id"])
    assert desk.account("ann@acme.example").tenant_id == desk.tenant("other.example").tenant_id  # type: ignore[union-attr]


def test_accounts_made_by_first_mail_are_changed_not_made_again(desk: Desk) -> None:
    desk.first_mail("ann@acme.example")
    said = desk.accounts({"login": "ANN@acme.example", "language": "zh-Hans"})
    assert (said["created"], said["changed"]) == (0, 1)


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        ({"login": ""}, "login", "is empty"),
        ({"login": "a@b@c"}, "login", "two domains"),
        ({"login": "ann\u200b@acme.example"}, "login", "cannot be printed"),
        ({"login": "GOOD@acme.example"}, "login", "line 2 already"),
        ({"login": "x@nowhere.example"}, "tenant", "nowhere.example"),
        ({"login": "bare"}, "tenant", "is empty"),
        ({"login": "x@acme.example", "tenant": "Nobody"}, "tenant", "no tenant has"),
        ({"login": "x@acme.example", "language": "de"}, "language", "zh-Hans"),
        ({"login": "x@acme.example", "contact": "a b@c"}, "contact", "syntax error"),
    ],
)
def test_one_wrong_account_keeps_the_whole_list_out(desk: Desk, row: dict[str, Any], key: str, words: str) -> None:
    desk.tenants(ACME)
    before = desk.rows()
    said = desk.accounts({"login": "good@acme.example"}, row)
    assert errors(said) == [(3, key)]
    assert words in said["errors"][0]["message"]
    assert desk.rows() == before
    assert desk.account("good@acme.example") is None


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["tenant.import", "account.import"])
def test_a_list_needs_a_named_person_even_to_look(desk: Desk, verb: str) -> None:
    for token in ("", "ft_wrong", None):
        with pytest.raises(RefusedError, match="named person"):
            desk.take(verb, {"name": "X"}, token=token, dry_run=True)


def test_too_long_a_list_and_no_list_are_refused(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="in parts"):
        desk.accounts(*({"login": "x"} for _ in range(MAX_ROWS + 1)))
    for rows in (None, "x", [1], [{"name": "no line"}]):
        with pytest.raises(UsageError, match="rows"):
            desk.call("tenant.import", {"token": desk.token, "rows": rows})


def test_the_tenant_list_counts_accounts(desk: Desk) -> None:
    desk.tenants(ACME)
    desk.accounts({"login": "a@acme.example"}, {"login": "b@acme.test"})
    (row,) = desk.call("tenant.list", {})
    assert (row["name"], row["accounts"], row["domains"]) == (ACME["name"], 2, ["acme.example", "acme.test"])


# --- people -----------------------------------------------------------------------------------------------------------


def test_the_first_person_needs_no_token_and_later_ones_an_admins(desk: Desk) -> None:
    assert desk.call("person.list", {}) == [{"name": "dana", "role": "admin"}]
    with pytest.raises(RefusedError, match="named person"):
        desk.call("person.add", {"name": "eve", "role": "admin"})
    added = desk.call("person.add", {"name": "bob", "role": "moderator", "token": desk.token})
    assert (added["by"], added["replaced_role"]) == ("dana", None)
    with pytest.raises(RefusedError, match="bob has role moderator"):
        desk.call("person.add", {"name": "eve", "role": "admin", "token": added["token"]})


def test_root_can_add_a_person_and_the_entry_says_so(desk: Desk) -> None:
    assert desk.call("person.add", {"name": "eve", "role": "admin", "as_root": True})["by"] == "root"
    entry = desk.engine.run(lambda txn: txn.recent_entries(1))[0]
    assert (entry.entry.kind, entry.record.person, entry.record.by) == ("person.added", "eve", "root")


def test_only_root_gives_somebody_another_role_and_token(desk: Desk) -> None:
    first = desk.call("person.add", {"name": "bob", "role": "viewer", "token": desk.token})
    with pytest.raises(RefusedError, match="replaces a token"):
        desk.call("person.add", {"name": "bob", "role": "admin", "token": desk.token})
    again = desk.call("person.add", {"name": "bob", "role": "admin", "as_root": True})
    assert again["replaced_role"] == "viewer"
    people = [desk.engine.run(lambda txn, t=said["token"]: txn.person(t)) for said in (first, again)]
    assert people == [None, ("bob", "admin")]


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "", "role": "admin"},
        {"name": "x" * 81, "role": "admin"},
        {"name": "a\nb", "role": "admin"},
        {"name": "root", "role": "admin"},
        {"name": "bob", "role": "emperor"},
        {"name": "bob"},
    ],
)
def test_nobody_gets_in_under_a_strange_name_or_role(desk: Desk, arguments: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        desk.call("person.add", {**arguments, "token": desk.token})


# --- who somebody is --------------------------------------------------------------------------------------------------


PEOPLE = (
    {"login": "ann@acme.example", "external_id": "7", "aliases": "a@acme.example; Boss@Acme.example"},
    {"login": "bea@acme.example", "external_id": "8"},
)


def test_a_list_brings_ids_aliases_plans_and_last_days(desk: Desk) -> None:
    desk.tenants({**ACME, "dealer": "Huaxin", "plan": "gold", "expires_on": "2028-01-01", "external_id": "T-1"})
    tenant = desk.tenant("acme.example")
    assert tenant is not None
    assert (tenant.reseller, tenant.plan, str(tenant.expires_on), tenant.external_id) == (
        "Huaxin",
        "gold",
        "2028-01-01",
        "T-1",
    )
    desk.accounts({**PEOPLE[0], "expires_on": "2027-05-01"})
    account = desk.account("boss@acme.example")
    assert account is not None
    assert (account.login, account.external_id, account.aliases, str(account.expires_on)) == (
        "ann@acme.example",
        "7",
        ("a@acme.example", "boss@acme.example"),
        "2027-05-01",
    )
    assert desk.accounts({**PEOPLE[0], "expires_on": "2027-05-01"})["unchanged"] == 1
    assert desk.accounts({"login": "ann@acme.example", "expires_on": None, "aliases": None})["changed"] == 1
    account = desk.account("ann@acme.example")
    assert account is not None
    assert (account.aliases, account.expires_on, account.external_id) == ((), None, "7")


def test_a_list_says_from_whose_addresses_an_account_may_write(desk: Desk) -> None:
    desk.tenants(ACME)
    said = {"login": "ann@acme.example", "aliases": "a@acme.example"}
    desk.accounts({**said, "send_as": "Sales@Acme.example; boss@acme.example, a@acme.example"})
    account = desk.account("ann@acme.example")
    # Its own addresses need no leave.
    assert account is not None
    assert account.send_as == ("boss@acme.example", "sales@acme.example")
    granted = {"account_id": account.account_id, "address": "sales@acme.example"}
    is_granted = senders.table()["senders.granted"]

    def ask(given: dict[str, Any]) -> Any:
        return desk.engine.run(lambda txn: is_granted(txn, given))

    assert ask(granted) is True
    assert ask({**granted, "address": "bea@acme.example"}) is False
    assert ask({**granted, "account_id": "a_nobody"}) is False
    # A column that is not there keeps it, an empty cell takes it away.
    assert desk.accounts(said)["unchanged"] == 1
    assert desk.accounts({**said, "send_as": None})["changed"] == 1
    assert ask(granted) is False
    assert errors(desk.accounts({**said, "send_as": "two@at@signs"})) == [(2, "send_as")]


def test_the_same_id_under_another_login_is_a_rename(desk: Desk) -> None:
    desk.tenants(ACME)
    desk.accounts(*PEOPLE)
    before = desk.account("ann@acme.example")
    said = desk.accounts({"login": "anna@acme.test", "external_id": "7"})
    assert (said["created"], said["changed"], said["retired"]) == (0, 1, 0)
    assert said["changes"][0]["fields"] == {"login": {"from": "ann@acme.example", "to": "anna@acme.test"}}
    after = desk.account("anna@acme.test")
    assert before is not None
    assert after is not None
    assert after.account_id == before.account_id
    assert desk.account("ann@acme.example") is None
    row = desk.engine.run(lambda txn: txn.recent_entries(1))[0]
    assert (row.entry.kind, row.personal) == (
        "account.changed",
        {"login": "anna@acme.test", "former_login": "ann@acme.example"},
    )


@pytest.mark.parametrize("more", [0, 300])
def test_another_id_under_the_same_login_is_another_person(desk: Desk, more: int) -> None:
    """Also in a long list, which is read another way."""
    desk.tenants(ACME)
    desk.accounts(*PEOPLE)
    before = desk.account("ann@acme.example")
    others = [{"login": f"u{number}@acme.example"} for number in range(more)]
    said = desk.accounts({**PEOPLE[0], "external_id": "9"}, *others)
    assert (said["errors"], said["retired"], said["created"]) == ([], 1, 1 + more)
    assert [change["what"] for change in said["changes"][:2]] == ["retire", "create"]
    after = desk.account("ann@acme.example")
    assert before is not None
    assert after is not None
    assert after.account_id != before.account_id
    assert desk.account("boss@acme.example") == after
    kept = desk.engine.run(lambda txn: txn.account(before.account_id))
    assert kept.retired_at is not None
    # Who has left is no seat of the tenant.
    assert desk.call("tenant.show", {"tenant": "acme.example"})["accounts"] == 2 + more
    assert desk.accounts({**PEOPLE[0], "external_id": "9"}, *others)["unchanged"] == 1 + more


@pytest.mark.parametrize("more", [0, 300])
def test_two_change_places_in_one_list(desk: Desk, more: int) -> None:
    desk.tenants(ACME)
    desk.accounts(*PEOPLE)
    ann, bea = desk.account("ann@acme.example"), desk.account("bea@acme.example")
    swapped = (
        {"login": "bea@acme.example", "external_id": "7"},
        {"login": "ann@acme.example", "external_id": "8"},
    )
    said = desk.accounts(*swapped, *({"login": f"u{number}@acme.example"} for number in range(more)))
    assert said["errors"] == []
    now = desk.account("bea@acme.example"), desk.account("ann@acme.example")
    assert [x.account_id for x in now if x] == [x.account_id for x in (ann, bea) if x]
    assert all(account.retired_at is None for account in now if account)


def test_an_id_is_given_to_an_account_that_had_none(desk: Desk) -> None:
    desk.first_mail("ann@acme.example")
    before = desk.account("ann@acme.example")
    assert desk.accounts({"login": "ann@acme.example", "external_id": 7})["changed"] == 1
    after = desk.account("ann@acme.example")
    assert before is not None
    assert after is not None
    assert (after.account_id, after.external_id) == (before.account_id, "7")


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        ({"login": "x@acme.example", "aliases": "bea@acme.example"}, "aliases", "bea@acme.example is the login"),
        ({"login": "x@acme.example", "aliases": "a@acme.example"}, "aliases", "is an alias of ann@acme.example"),
        ({"login": "a@acme.example"}, "login", "is an alias of ann@acme.example"),
        ({"login": "x@acme.example", "aliases": "two@at@signs"}, "aliases", "'two@at@signs'"),
        ({"login": "x@acme.example", "external_id": "7" * 501}, "external_id", "too long"),
        ({"login": "x@acme.example", "external_id": True}, "external_id", "must be text"),
        ({"login": "x@acme.example", "expires_on": "next week"}, "expires_on", "YYYY-MM-DD"),
    ],
)
@pytest.mark.parametrize("more", [0, 300])
def test_one_wrong_address_or_id_keeps_the_whole_list_out(
    desk: Desk, row: dict[str, Any], key: str, words: str, more: int
) -> None:
    desk.tenants(ACME)
    desk.accounts(*PEOPLE)
    before = desk.rows()
    said = desk.accounts(row, *({"login": f"u{number}@acme.example"} for number in range(more)))
    assert errors(said) == [(2, key)]
    assert words in said["errors"][0]["message"]
    assert desk.rows() == before


def test_rows_of_one_list_see_each_other(desk: Desk) -> None:
    desk.tenants(ACME)
    said = desk.accounts(
        {"login": "x@acme.example", "external_id": "1", "aliases": "y@acme.example"},
        {"login": "y@acme.example", "external_id": "2"},
        {"login": "z@acme.example", "external_id": "1"},
        {"login": "w@acme.example", "aliases": "y@acme.example"},
    )
    assert errors(said) == [(3, "login"), (4, "external_id"), (5, "aliases")]


def test_a_tenant_with_an_id_can_be_called_otherwise(desk: Desk) -> None:
    desk.tenants({**ACME, "external_id": "T-1"}, {"name": "Other", "external_id": "T-2"})
    before = desk.tenant("acme.example")
    assert desk.tenants({"name": "Acme Holding", "external_id": "T-1"})["changed"] == 1
    after = desk.tenant("acme.example")
    assert before is not None
    assert after is not None
    assert (after.tenant_id, after.name) == (before.tenant_id, "Acme Holding")
    for row, words in (
        ({"name": "Other", "external_id": "T-3"}, "has another one"),
        ({"name": "Other", "external_id": "T-1"}, "has another one"),
        ({"name": "Nova", "plan": "x" * 81}, "80 characters"),
        ({"name": "Nova", "dealer": "x", "reseller": "y"}, "one of the two"),
        ({"name": "Nova", "expires_on": "2027-5-1"}, "YYYY-MM-DD"),
    ):
        said = desk.tenants(row)
        assert words in said["errors"][0]["message"]


def test_a_domain_of_an_erased_customer_can_be_given_to_a_new_one(desk: Desk) -> None:
    row = {"domains": "shop.example", "agreement": "tencent-exmail"}
    assert desk.tenants({"name": "Old", **row})["errors"] == []
    (error,) = desk.tenants({"name": "New", **row})["errors"]
    assert "belongs to tenant" in error["message"]
    old = desk.tenant("shop.example")
    assert old is not None
    desk.engine.run(lambda txn: txn.erase_subject(old.tenant_id))
    assert desk.tenants({"name": "New", **row})["errors"] == []
    new = desk.tenant("shop.example")
    assert new is not None
    assert (new.name, new.tenant_id != old.tenant_id) == ("New", True)
