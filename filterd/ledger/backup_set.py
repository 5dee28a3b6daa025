"""What a backup looks like: one folder (or one tar of it), the same whichever store it was taken from.

    manifest.json       what there is, with a digest of each file, and how far every chain goes; signed
    tables/NAME.jsonl   one JSON object a row, columns by name, octets in base64, in the order of the key
    vault/ab/ADDRESS    evidence, sealed as it was
    vault.index         a line each: address, octets, SHA-256
    ledger.anchor       the checkpoints this node had then
    key.json            the master key, wrapped; not there when it was left out

The manifest is canonical JSON (codec) with an Ed25519 signature over the words "filterd backup", a line feed, and the
object without `sig`: made with the key that signs checkpoints, so that whoever can prove those can prove this.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Boolean, Connection, LargeBinary, Table, text

from filterd.errors import ModelError
from filterd.ledger.codec import Undecodable, canonical, decode_json, plain
from filterd.ledger.schema import META, METADATA, VAULT_OBJECT

VERSION = 1
MANIFEST = "manifest.json"
INDEX = "vault.index"
ANCHOR = "ledger.anchor"
KEY = "key.json"
TABLES_FOLDER = "tables"
VAULT_FOLDER = "vault"

# Evidence that stands in a table is put into files, as it is with the other kind of store.
TABLES = tuple(table for table in METADATA.sorted_tables if table is not VAULT_OBJECT)

_SIGNED_AS = b"filterd backup\n"
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEnd:
    """The last row of a writer's chain."""

    writer: str
    seq: int
    row_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNote:
    """A file of the set, other than evidence. `rows` None: not a table."""

    size: int
    sha256: str
    rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """How far an event stream went, and which ledger rows it told of: last number by writer."""

    seq: int
    ledger: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All about a set.

    Args:
        taken_at: by the clock of the node that took it, RFC 3339.
        store: `sqlite` or `postgresql`; a set fits both.
        schema: version of the tables. `program`: version of filterd that took it.
        files: by path inside the set.
        objects, object_bytes: how much evidence.
        absent: addresses of evidence that the store names and the vault no longer had.
        streams: by writer of the stream.
        has_key: the master key is in it, wrapped.
        public_key: of the signature, hex.
    """

    v: int
    taken_at: str
    node: str
    store: str
    schema: int
    program: str
    heads: tuple[ChainEnd, ...]
    files: dict[str, FileNote]
    objects: int
    object_bytes: int
    absent: tuple[str, ...]
    streams: dict[str, StreamEnd]
    has_key: bool
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One object of the vault in a set."""

    address: str
    size: int
    sha256: str


def signed(manifest: Manifest, seed: bytes) -> bytes:
    """Write a manifest with its signature."""
    tree = plain(manifest)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(_SIGNED_AS + canonical(tree))
    return canonical({**tree, "sig": signature.hex()}) + b"\n"


def read_manifest(folder: Path, public_key: bytes | None) -> Manifest:
    """Read the manifest of a set and prove it. `public_key` None: by the key that it names itself.

    Raises ModelError, naming the file, for a set that is none, is of another form, or was altered.
    """
    from filterd.ledger.codec import decode

    file = folder / MANIFEST
    try:
        octets = file.read_bytes()
        tree = decode_json(octets)
        signature = bytes.fromhex(tree.pop("sig"))
        if tree.get("v") != VERSION:
            raise ModelError(f"{file}: a backup of form {tree.get('v')!r}, this program reads form {VERSION}")
        manifest: Manifest = decode(Manifest, canonical(tree))
        key = public_key if public_key is not None else bytes.fromhex(manifest.public_key)
        if key.hex() != manifest.public_key:
            raise ModelError(f"{file}: signed with another key than that of this ledger")
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _SIGNED_AS + canonical(tree))
    except FileNotFoundError as err:
        raise ModelError(f"{folder}: is no backup: it has no {MANIFEST}") from err
    except OSError as err:
        raise ModelError(f"{file}: cannot be read: {err.strerror}") from err
    except (Undecodable, InvalidSignature, AttributeError, KeyError, TypeError, ValueError) as err:
        raise ModelError(f"{file}: was altered, or is no manifest") from err
    if canonical({**tree, "sig": signature.hex()}) + b"\n" != octets:
        raise ModelError(f"{file}: was altered")
    return manifest


# --- tables -----------------------------------------------------------------------------------------------------------


def table_file(name: str) -> str:
    return f"{TABLES_FOLDER}/{name}.jsonl"


def rows_of(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    """Say the rows of a table as they stand, octets as bytes, in the order of its key."""
    names = [column.name for column in table.columns]
    key = ", ".join(column.name for column in table.primary_key.columns)
    # Without the types of the columns: what is stored is what is kept.
    query = text(f"SELECT {', '.join(names)} FROM {table.name} ORDER BY {key}")  # noqa: S608
    found = connection.execution_options(yield_per=_AT_ONCE).execute(query)
    for row in found:
        yield {name: _plain_value(value) for name, value in zip(names, row, strict=True)}


def insert_rows(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> int:
    """Put rows into an empty table, as they stand; say how many."""
    names = [column.name for column in table.columns]
    values = ", ".join(f":{name}" for name in names)
    query = text(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values})")  # noqa: S608
    flags = [column.name for column in table.columns if isinstance(column.type, Boolean)]
    number = 0
    some: list[dict[str, Any]] = []
    for row in rows:
        some.append({**row, **{name: bool(row[name]) for name in flags if row[name] is not None}})
        number += 1
        if len(some) == _AT_ONCE:
            connection.execute(query, some)
            some = []
    if some:
        connection.execute(query, some)
    return number


def row_line(table: Table, row: dict[str, Any]) -> bytes:
    """Write a row as a line."""
    said = dict(row)
    for column in table.columns:
        value = said[column.name]
        if isinstance(column.type, LargeBinary) and value is not None:
            said[column.name] = base64.b64encode(value).decode("ascii")
        elif isinstance(column.type, Boolean) and value is not None:
            # SQLite has numbers for it.
            said[column.name] = bool(value)
    return canonical(said) + b"\n"


def read_rows(folder: Path, table: Table) -> Iterator[dict[str, Any]]:
    """Read a table of a set. Raises ModelError naming file and line."""
    file = folder / table_file(table.name)
    names = {column.name for column in table.columns}
    octets = [column.name for column in table.columns if isinstance(column.type, LargeBinary)]
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = decode_json(line)
                    if not isinstance(row, dict) or row.keys() != names:
                        raise Undecodable("other columns than this program's table has")
                    for name in octets:
                        row[name] = None if row[name] is None else base64.b64decode(row[name], validate=True)
                except (Undecodable, TypeError, ValueError) as err:
                    raise ModelError(f"{file}:{number}: cannot be read: {err}") from err
                yield row
    except OSError as err:
        raise ModelError(f"{file}: cannot be read: {err.strerror}") from err


def stored_meta(folder: Path) -> dict[str, str]:
    """Say what `meta` held."""
    return {str(row["key"]): str(row["value"]) for row in read_rows(folder, META)}


def _plain_value(value: Any) -> Any:
    # Some drivers give octets as a view of theirs.
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


# --- evidence ---------------------------------------------------------------------------------------------------------


def object_file(address: str) -> str:
    return f"{VAULT_FOLDER}/{address[:2]}/{address}"


def index_line(kept: Kept) -> bytes:
    return f"{kept.address} {kept.size} {kept.sha256}\n".encode("ascii")


def read_index(folder: Path) -> Iterator[Kept]:
    """Read the index of a set's evidence. Raises ModelError naming file and line."""
    file = folder / INDEX
    try:
        lines = file.read_bytes().splitlines()
    except OSError as err:
        raise ModelError(f"{file}: cannot be read: {err.strerror}") from err
    for number, line in enumerate(lines, start=1):
        try:
            address, size, sha256 = line.decode("ascii").split(" ")
            if not address.isalnum() or len(sha256) != 64:
                raise ValueError
            yield Kept(address=address, size=int(size), sha256=sha256)
        except ValueError as err:
            raise ModelError(f"{file}:{number}: is no line of an index") from err


def digest_of(file: Path) -> FileNote:
    """Say a file's size and SHA-256. Raises OSError."""
    sha256, size = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while some := opened.read(1 << 20):
            sha256.update(some)
            size += len(some)
    return FileNote(size=size, sha256=sha256.hexdigest())
