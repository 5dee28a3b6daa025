"""Strikes follow a person's mailbox through a rename and never pass to the next holder of an address: mail through the
real gate and ledger, people out of LDAP, SQL and lists.  STANDING 5.7-19, TX-1.1.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from filterd.app.directory import directory_lookups
from filterd.config import Config
from filterd.config.directory import DirectoryConfig
from filterd.mail.address import parse_forward_path
from filterd.model.session import Door, Session
from tests.conftest import record_server
from tests.kit.house import House, letter
from tests.kit.slapd import BASE, PASSWORD, READER, Slapd
from tests.pipeline.test_gate import BURST, CONFIG

pytestmark = pytest.mark.slow

ALICE, ALICIA, BOB = "alice@corp.example", "alicia@corp.example", "bob@other.example"
ALIAS = "a@corp.example"


class Personnel(Protocol):
    """Where people are written down; each by a name of the tests' own."""

    def directory(self) -> dict[str, Any]:
        """Say the table `[directory]`."""
        ...

    async def give(self, house: House, who: str, login: str, *aliases: str) -> None:
        """Let somebody have a login, new or not."""
        ...

    async def leave(self, house: House, who: str) -> None: ...


class InLdap:
    """People in a slapd: entries that stay through every change, under names of their own."""

    def __init__(self, slapd: Slapd):
        self.slapd = slapd
        self.known: set[str] = set()

    def directory(self) -> dict[str, Any]:
        return {
            "refresh_s": 1,
            "ldap": {
                "enabled": True,
                "url": self.slapd.url,
                "bind_dn": READER,
                "password_env": "FILTERD_TEST_LDAP",
                "base": f"ou=people,{BASE}",
                "filter": "(|(mail={login})(mailLocalAddress={login}))",
                "attributes": {"external_id": "entryUUID", "login": "mail", "aliases": "mailLocalAddress"},
            },
        }

    async def give(self, house: House, who: str, login: str, *aliases: str) -> None:
        if who in self.known:
            self.slapd.change(who, mail=login, mailLocalAddress=list(aliases))
        else:
            self.slapd.add(who, mail=login, **({"mailLocalAddress": list(aliases)} if aliases else {}))
        self.known.add(who)

    async def leave(self, house: House, who: str) -> None:
        self.known.discard(who)
        self.slapd.remove(who)


class InSql:
    """People in a table, by a number of their own."""

    def __init__(self, file: Path):
        self.file = file
        # Without AUTOINCREMENT SQLite gives the number of a deleted row to the next one.
        columns = "id INTEGER PRIMARY KEY AUTOINCREMENT, who TEXT UNIQUE, login TEXT, aliases TEXT"
        self._do(f"CREATE TABLE people ({columns})")

    def directory(self) -> dict[str, Any]:
        query = (
            "SELECT id AS external_id, login, aliases FROM people"
            " WHERE login = :login OR (' ' || aliases || ' ') LIKE '% ' || :login || ' %'"
        )
        return {"refresh_s": 1, "sql": {"enabled": True, "url": f"sqlite:///{self.file}", "query": query}}

    async def give(self, house: House, who: str, login: str, *aliases: str) -> None:
        self._do(
            "INSERT INTO people (who, login, aliases) VALUES (?, ?, ?)"
            " ON CONFLICT (who) DO UPDATE SET login = excluded.login, aliases = excluded.aliases",
            (who, login, " ".join(aliases)),
        )

    async def leave(self, house: House, who: str) -> None:
        self._do("DELETE FROM people WHERE who = ?", (who,))

    def _do(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        with sqlite3.connect(self.file) as connection:
            connection.execute(statement, values)


class InLists:
    """People in lists that are imported whenever something changes."""

    def __init__(self) -> None:
        self.token = ""

    def directory(self) -> dict[str, Any]:
        return {}

    async def give(self, house: House, who: str, login: str, *aliases: str) -> None:
        if not self.token:
            said = await house.ledger.call("person.add", {"name": "dana", "role": "admin", "as_root": True})
            self.token = said["token"]
            tenant = {"line": 2, "name": "Corp", "domains": "corp.example"}
            await house.ledger.call("tenant.import", {"token": self.token, "rows": [tenant]})
        row = {"line": 2, "login": login, "external_id": who, "aliases": list(aliases)}
        said = await house.ledger.call("account.import", {"token": self.token, "rows": [row]})
        assert said["errors"] == []

    async def leave(self, house: House, who: str) -> None:
        pass


@pytest.fixture(params=[pytest.param("ldap", marks=pytest.mark.database), "sql", "lists"])
def personnel(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Personnel]:
    match request.param:
        case "ldap":
            monkeypatch.setenv("FILTERD_TEST_LDAP", PASSWORD)
            with Slapd() as slapd:
                record_server(request.config, "slapd", slapd.version)
                yield InLdap(slapd)
        case "sql":
            yield InSql(tmp_path / "people.db")
        case _:
            yield InLists()


@pytest.fixture
async def house(tmp_path: Path, personnel: Personnel) -> AsyncIterator[House]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path / "state")}})
    house = await House(folder=tmp_path / "state", config=config).open()
    # As app.LedgerHalf puts the look-ups before the verb.
    settings = DirectoryConfig.model_validate(personnel.directory())
    lookups = directory_lookups(settings, house.engine.submit, _desk(house), house.clock)
    if lookups is not None:
        verbs = house.ledger._verbs
        verbs["account_for"] = replace(verbs["account_for"], outside=lookups.account_for)
    yield house
    if lookups is not None:
        await lookups.close()
    await house.close()


def _desk(house: House) -> Any:
    from filterd import app

    return app.desk_rules(house.config, house.agreements)


async def send(house: House, login: str, subject: str, *codes: str, to: tuple[str, ...] = (BOB,)) -> Any:
    """Send a mail some time after the last, so that what is known is stale."""
    house.clock.advance(10)
    house.ledger._copies.forget()
    house.script.codes = codes
    return await house.send(letter(subject), *to, login=login)


async def test_strikes_survive_a_rename(house: House, personnel: Personnel) -> None:
    await personnel.give(house, "alice", ALICE, ALIAS)
    await send(house, ALICE, "one", "virus.signature.match")
    before = await house.show(ALICE)
    assert (before["standing"], before["points"]) == ("warned", 4)
    await personnel.give(house, "alice", ALICIA, ALIAS)
    for login in (ALICIA, ALIAS):
        answer = await send(house, login, f"clean from {login}")
        assert answer.reply is None
        shown = await house.show(login)
        assert (shown["account_id"], shown["login"]) == (before["account_id"], ALICIA)
        assert (shown["standing"], shown["points"]) == ("warned", 4)
    await house.notice_received()
    house.clock.advance(days=2)
    # What comes next is the second of one account, not the first of another.
    await send(house, ALICIA, "two", "virus.signature.match", to=("carol@other.example",))
    assert len((await house.show(ALICIA))["incidents"]) == 2


async def test_the_next_holder_of_an_address_begins_with_nothing(house: House, personnel: Personnel) -> None:
    await personnel.give(house, "alice", ALICE, ALIAS)
    for day in (0, 2, 4):
        people = tuple(f"p{day}.{number}@other.example" for number in range(300))
        await send(house, ALICE, f"run {day}", *BURST, to=people)
        await house.notice_received()
        house.clock.advance(days=2 if day < 4 else 0)
    old = await house.show(ALICE)
    assert old["standing"] == "suspended"
    refused = await send(house, ALICE, "still here")
    assert refused.reply is not None
    assert refused.reply.enhanced == "5.7.13"

    await personnel.leave(house, "alice")
    await personnel.give(house, "another alice", ALICE, ALIAS)
    house.clock.advance(10)
    house.ledger._copies.forget()
    # Not even at RCPT, where only standing counts.
    session = Session(id="c", door=Door.POLICY, listener="policy", peer_address="127.0.0.1", login=ALICE)
    assert await house.gate.admit(session, None, parse_forward_path(b"<bob@other.example>")) is None
    for login in (ALICE, ALIAS):
        answer = await send(house, login, f"hello from {login}")
        assert answer.reply is None
        shown = await house.show(login)
        assert shown["account_id"] != old["account_id"]
        assert (shown["standing"], shown["points"], shown["strikes"]) == ("good", 0, [])
    # The record stays with whom it is about, and with what is in force.
    kept = await house.show(old["account_id"])
    assert (kept["standing"], kept["strikes"], kept["sanctions"]) == (
        "suspended",
        old["strikes"],
        old["sanctions"],
    )
    assert kept["retired_at"] is not None
    kinds = [row["kind"] for row in await house.ledger.call("account.history", {"account": old["account_id"]})]
    assert kinds[-1] == "account.retired"


async def test_no_notice_about_somebody_goes_to_the_next_holder_of_the_address(
    house: House, personnel: Personnel
) -> None:
    from filterd.pipeline.notice_mail import addresses
    from filterd.pipeline.notices import NoticeSettings

    await personnel.give(house, "alice", ALICE)
    await send(house, ALICE, "one", "virus.signature.match")
    old = (await house.show(ALICE))["account_id"]
    await personnel.leave(house, "alice")
    await personnel.give(house, "another alice", ALICE)
    await send(house, ALICE, "hello")
    account = house.engine.run(lambda txn: txn.account(old))
    settings = NoticeSettings(sender="Policy <policy@p.example>", appeals_address="appeals@p.example")
    assert addresses(account, None, settings) == ()
