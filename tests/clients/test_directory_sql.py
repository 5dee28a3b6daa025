"""A table as the operator's directory: SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from filterd.clients.directory_sql import SqlDirectory
from filterd.config.directory import SqlConfig
from filterd.errors import ConfigError, PortError
from tests.kit.loops import turn
from tests.kit.postgres import Postgres
from tests.kit.waiting import PATIENCE_S, soon

pytestmark = pytest.mark.slow

TABLES = """
CREATE TABLE company (id INTEGER PRIMARY KEY, name TEXT, plan TEXT, seats INTEGER, ends DATE);
CREATE TABLE mailbox (id INTEGER PRIMARY KEY, company_id INTEGER, address VARCHAR(200), ends DATE);
CREATE TABLE alias (mailbox_id INTEGER, address VARCHAR(200));
INSERT INTO company VALUES (1, 'Corp AG', 'gold', 12, '2028-01-01');
INSERT INTO mailbox VALUES (7, 1, 'ann@corp.example', '2027-05-01'), (8, 1, 'bea@corp.example', NULL);
INSERT INTO alias VALUES (7, 'boss@corp.example'), (7, 'a@corp.example');
"""
QUERY = """
SELECT m.id AS external_id, m.address AS login, a.address AS aliases, m.ends AS expires_on,
       c.id AS tenant_external_id, c.name, c.plan, c.seats, c.ends AS tenant_expires_on
FROM mailbox m JOIN company c ON c.id = m.company_id LEFT JOIN alias a ON a.mailbox_id = m.id
WHERE m.address = :login OR m.id IN (SELECT mailbox_id FROM alias WHERE address = :login)
"""
Make = Callable[..., SqlDirectory]
Change = Callable[[str], None]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.database)])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Change]]:
    """A database with two people; says its URL, and how to change it."""
    if request.param == "sqlite":
        file = tmp_path / "mailboxes.db"

        def change(statements: str) -> None:
            with sqlite3.connect(file) as connection:
                connection.executescript(statements)

        change(TABLES)
        yield f"sqlite:///{file}", change
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    url = server.new_database()

    def change_there(statements: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statements)

    change_there(TABLES)
    yield url, change_there
    server.drop(url)


def settings(url: str, **more: Any) -> SqlConfig:
    values = {"enabled": True, "url": url, "query": QUERY, "columns": {"tenant_name": "name"}}
    # Of a database that answers: no stall of the machine is silence.
    return SqlConfig.model_validate(values | {"timeout_s": PATIENCE_S} | more)


async def ask(config: SqlConfig, login: str) -> Any:
    directory = SqlDirectory(config)
    try:
        return await directory.look_up(login)
    finally:
        await directory.close()


async def test_rows_of_a_join_are_one_answer(base: tuple[str, Change]) -> None:
    said = await ask(settings(base[0]), "ann@corp.example")
    assert said == await ask(settings(base[0]), "boss@corp.example")
    assert (said.external_id, said.login, said.aliases) == (
        "7",
        "ann@corp.example",
        ("a@corp.example", "boss@corp.example"),
    )
    assert (said.expires_on, said.tenant_expires_on) == (date(2027, 5, 1), date(2028, 1, 1))
    assert (said.tenant_external_id, said.tenant_name, said.plan, said.seats) == ("1", "Corp AG", "gold", 12)
    bea = await ask(settings(base[0]), "bea@corp.example")
    assert (bea.external_id, bea.aliases, bea.expires_on) == ("8", (), None)
    assert {"aliases", "expires_on"} <= bea.says
    assert "contact" not in bea.says


@pytest.mark.parametrize(
    "login", ["", "%", "' OR '1'='1", "ann@corp.example' --", "x'; DROP TABLE mailbox; --", "\\", ":login", "a\udcffb"]
)
async def test_no_login_is_a_statement(base: tuple[str, Change], login: str) -> None:
    assert await ask(settings(base[0]), login) is None
    assert await ask(settings(base[0]), "ann@corp.example") is not None


async def test_two_people_for_one_login_are_no_answer(base: tuple[str, Change]) -> None:
    url, change = base
    change("INSERT INTO alias VALUES (8, 'boss@corp.example')")
    with pytest.raises(PortError, match="external_id") as raised:
        await ask(settings(url), "boss@corp.example")
    assert raised.value.temporary is False


@pytest.mark.parametrize(
    "statement",
    [
        "WITH gone AS (SELECT :login AS x) DELETE FROM mailbox WHERE address = :login",
        "SELECT 1 AS external_id WHERE :login = ''; DELETE FROM mailbox",
        "WITH gone AS (DELETE FROM mailbox WHERE address = :login RETURNING id) SELECT id AS external_id FROM gone",
    ],
)
async def test_a_statement_can_only_read(base: tuple[str, Change], statement: str) -> None:
    with pytest.raises(PortError) as raised:
        await ask(settings(base[0], query=statement, columns={}), "ann@corp.example")
    # A database's own words could quote the login.
    assert "ann@" not in str(raised.value)
    assert await ask(settings(base[0]), "ann@corp.example") is not None


@pytest.mark.parametrize("query", ["SELECT nonsense FROM mailbox WHERE address = :login", "SELECT :login FROM nowhere"])
async def test_a_statement_that_the_database_refuses_is_temporary(base: tuple[str, Change], query: str) -> None:
    with pytest.raises(PortError) as raised:
        await ask(settings(base[0], query=query, columns={}), "ann@corp.example")
    assert raised.value.temporary


async def test_a_column_that_is_not_there_is_named(base: tuple[str, Change]) -> None:
    with pytest.raises(PortError, match="no column 'nome'"):
        await ask(settings(base[0], columns={"tenant_name": "nome"}), "ann@corp.example")


async def test_the_parts_of_a_login_are_parameters_too(base: tuple[str, Change]) -> None:
    query = "SELECT id AS external_id FROM mailbox WHERE address = :local_part || '@' || :domain"
    said = await ask(settings(base[0], query=query, columns={}), "bea@corp.example")
    assert (said.external_id, said.says) == ("8", {"external_id"})


async def test_a_statement_that_takes_too_long_is_given_up_and_its_thread_comes_back(base: tuple[str, Change]) -> None:
    url, _ = base
    slow = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) "
        "SELECT max(x) AS external_id FROM n WHERE :login <> ''"
        if url.startswith("sqlite")
        else "SELECT pg_sleep(3600), 1 AS external_id WHERE :login <> ''"
    )
    directory = SqlDirectory(settings(url, query=slow, columns={}, timeout_s=0.3, max_connections=1))
    for _ in range(2):
        # By our own clock, or the server's statement_timeout.
        with pytest.raises(PortError, match=r"no answer within|57014"):
            await directory.look_up("ann@corp.example")
    await soon(lambda: directory._threads._work_queue.qsize() == 0)
    await directory.close()


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="SQLITE_CANTOPEN"):
        await ask(settings(f"sqlite:///{tmp_path}/none.db"), "ann@corp.example")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.database
@pytest.mark.turned
async def test_a_server_that_hangs_or_restarts_is_asked_again(postgres_server: Postgres) -> None:
    url = postgres_server.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES)
    directory = SqlDirectory(settings(url, timeout_s=PATIENCE_S))
    try:
        assert await directory.look_up("ann@corp.example") is not None
        postgres_server.pause()
        asking = asyncio.create_task(directory.look_up("ann@corp.example"))
        await soon(lambda: directory._engine.pool.checkedout())  # type: ignore[attr-defined]
        await turn(PATIENCE_S)
        with pytest.raises(PortError, match="no answer within 120 s"):
            await asking
        postgres_server.resume()
        assert await directory.look_up("ann@corp.example") is not None
        postgres_server.restart()
        assert await directory.look_up("ann@corp.example") is not None
    finally:
        postgres_server.resume()
        await directory.close()
        postgres_server.drop(url)


async def test_a_password_is_in_no_error(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://reader:s3cr3t@/nowhere?host={tmp_path}"
    with pytest.raises(PortError) as raised:
        await ask(settings(url), "ann@corp.example")
    assert "s3cr3t" not in str(raised.value)
    given = SqlDirectory(settings(f"postgresql://reader@/nowhere?host={tmp_path}"), lambda: "s3cr3t")
    with pytest.raises(PortError) as raised:
        await given.look_up("ann@corp.example")
    assert "s3cr3t" not in str(raised.value)
    await given.close()
    for wrong in ("nonsense://u:s3cr3t@h/d", "s3cr3t"):
        with pytest.raises(ConfigError) as refused:
            SqlDirectory(settings(wrong))
        assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"query": ""}, "one SELECT"),
        ({"query": "DELETE FROM mailbox WHERE address = :login"}, "one SELECT"),
        ({"query": "SELECT 1"}, "wants :login"),
        ({"query": "SELECT x::login FROM y"}, "wants :login"),
        ({"columns": {"shoe_size": "x"}}, "shoe_size"),
        ({"password_file": "/x", "password_env": "X"}, "not both"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings("sqlite:///x.db", **more)
