"""Which version the tables of a store have, and how they come to be those of this program.  HOUSE rule 16.

A new store gets the tables as they are; an older one is brought up step by step by `migrations` (alembic), all in one
transaction. A newer one is used where it says that programs of this version may: nodes that share a database are
upgraded one after the other, and steps only ever add. The numbers stand in `meta`; alembic has its own note.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select, text, update

from filterd.errors import ModelError
from filterd.ledger.schema import META, METADATA, OLDEST_READER, STORE_VERSION
from filterd.model.ids import keyed_hash

_SCRIPTS = Path(__file__).with_name("migrations")
_NOTE = "alembic_version"


def prepare(connection: Connection, place: str, chain_key: bytes, *, may_create: bool) -> None:
    """Make the tables of an empty store, or check that they are ours and bring older ones up to date.

    In the open transaction. Raises ModelError naming the place.
    """
    check = keyed_hash(chain_key, "filterd ledger")
    names = set(inspect(connection).get_table_names())
    if not names and may_create:
        METADATA.create_all(connection)
        facts = {"schema_version": STORE_VERSION, "oldest_reader": OLDEST_READER, "key_check": check}
        connection.execute(insert(META), [{"key": key, "value": str(value)} for key, value in facts.items()])
        _note(connection, STORE_VERSION)
        return
    if not names and not may_create:
        raise ModelError(f"{place}: there is no ledger here")
    if "meta" not in names:
        raise ModelError(f"{place}: not a ledger: it has no table `meta`")
    found = {row.key: row.value for row in connection.execute(select(META))}
    if found.get("key_check") != check:
        raise ModelError(f"{place}: written under another master key")
    version = _number(found.get("schema_version"))
    if 0 < version < STORE_VERSION:
        _upgrade(connection, version, names)
    elif version != STORE_VERSION and not _number(found.get("oldest_reader"), above=version) <= STORE_VERSION < version:
        was = found.get("schema_version", "none")
        raise ModelError(f"{place}: schema version {was}, this program reads version {STORE_VERSION}")


def _number(said: str | None, *, above: int = -1) -> int:
    return int(said) if said is not None and said.isdecimal() else above + 1


def _upgrade(connection: Connection, version: int, names: set[str]) -> None:
    # Only where it is needed: it takes a tenth of a second to load.
    from alembic import command
    from alembic.config import Config

    if _NOTE not in names:
        _note(connection, version)
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, str(STORE_VERSION))
    for key, value in (("schema_version", STORE_VERSION), ("oldest_reader", OLDEST_READER)):
        changed = connection.execute(update(META).where(META.c.key == key).values(value=str(value)))
        if not changed.rowcount:
            connection.execute(insert(META), {"key": key, "value": str(value)})


def _note(connection: Connection, version: int) -> None:
    """Write what alembic looks for."""
    connection.exec_driver_sql(f"CREATE TABLE {_NOTE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.execute(text(f"INSERT INTO {_NOTE} (version_num) VALUES (:version)"), {"version": str(version)})  # noqa: S608
