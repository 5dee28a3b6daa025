"""Is a backup whole, and what it claims to be?  Offline: nothing but the set, and the key.

In this order, and the first thing wrong is said: the manifest and its signature, the files and their digests, the
tables, the chain (by the same walk as `filterd ledger verify`), the evidence: every object that a row names is there,
and, with the master key, opens under its subject's key and is what its address says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filterd.errors import ModelError, PortError
from filterd.ledger import backup_set
from filterd.ledger.anchor import read_file
from filterd.ledger.backup_set import Manifest
from filterd.ledger.chain import Row
from filterd.ledger.checkpoint import Checkpoint, Trust, trust_of
from filterd.ledger.evidence import NOWHERE
from filterd.ledger.schema import ENTRY, EVIDENCE, META, STORE_VERSION, SUBJECT_KEY
from filterd.ledger.seal import unseal
from filterd.ledger.vault import opened
from filterd.ledger.verify import Verification, verify_rows
from filterd.model.ids import keyed_hash
from filterd.ports import Keys

_COLUMNS = tuple(Row.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFound:
    """What was found of a set. `fault` None: nothing is wrong. `opened`: evidence that the key opened."""

    manifest: Manifest | None
    fault: str | None
    rows: int = 0
    unanchored: int = 0
    opened: int = 0
    has_read_contents: bool = False

    @property
    def is_sound(self) -> bool:
        return self.fault is None


def verify_set(
    folder: Path,
    *,
    keys: Keys | None,
    public_key: bytes | None = None,
    more_anchors: Sequence[Checkpoint] = (),
    on_progress: Callable[[str, int], None] = lambda _what, _number: None,
) -> SetFound:
    """Look at all of a set; see above.

    Args:
        keys: None: the chain is followed by its hashes, and evidence by its digests.
        public_key: to go by without the master key; None: as the set says itself.
        more_anchors: of copies of the anchor file; those beyond the set's own ends say nothing about it.
    """
    manifest: Manifest | None = None
    try:
        trust = trust_of(keys) if keys is not None else None
        manifest = backup_set.read_manifest(folder, trust.public_key if trust is not None else public_key)
        _files(folder, manifest)
        _meta(folder, manifest, keys)
        found = _chain(folder, manifest, keys, more_anchors)
        if found.fault is not None:
            return SetFound(manifest=manifest, fault=f"the chain does not hold: {found.fault}", rows=found.rows)
        opened_number = _evidence(folder, manifest, keys, on_progress)
    except (ModelError, PortError) as err:
        return SetFound(manifest=manifest, fault=str(err))
    return SetFound(
        manifest=manifest,
        fault=None,
        rows=found.rows,
        unanchored=found.unanchored,
        opened=opened_number,
        has_read_contents=found.has_read_contents,
    )


def chain_rows(folder: Path) -> Iterator[Row]:
    """Say the ledger rows of a set as they stood. Raises ModelError for a line that cannot be read."""
    for row in backup_set.read_rows(folder, ENTRY):
        yield Row(**{name: row[name] for name in _COLUMNS})


def _files(folder: Path, manifest: Manifest) -> None:
    expected = set(manifest.files) | {backup_set.MANIFEST}
    for name in sorted(manifest.files):
        file, note = folder / name, manifest.files[name]
        try:
            found = backup_set.digest_of(file)
        except OSError as err:
            raise ModelError(f"{file}: cannot be read: {err.strerror}") from err
        if (found.size, found.sha256) != (note.size, note.sha256):
            raise ModelError(f"{file}: was altered: {found.size} octets, the manifest says {note.size}")
    for table in backup_set.TABLES:
        if backup_set.table_file(table.name) not in expected:
            raise ModelError(f"{folder}: has no table {table.name}; this program's ledger has")
    inside = {str(x.relative_to(folder)) for x in folder.rglob("*") if not x.is_dir()}
    strange = {x for x in inside - expected if not x.startswith(f"{backup_set.VAULT_FOLDER}/")}
    if strange:
        raise ModelError(f"{folder / min(strange)}: is no part of this backup")


def _meta(folder: Path, manifest: Manifest, keys: Keys | None) -> None:
    said = backup_set.stored_meta(folder)
    if manifest.schema != STORE_VERSION or said.get("schema_version") != str(manifest.schema):
        raise ModelError(
            f"{folder / backup_set.table_file(META.name)}: tables of version {manifest.schema}, taken by filterd"
            f" {manifest.program}; this program reads version {STORE_VERSION}. Restore it with that one, then upgrade"
        )
    if keys is not None and said.get("key_check") != keyed_hash(keys.chain, "filterd ledger"):
        raise ModelError(f"{folder}: taken of a ledger with another master key")


def _chain(folder: Path, manifest: Manifest, keys: Keys | None, more: Sequence[Checkpoint]) -> Verification:
    ends = {end.writer: end.seq for end in manifest.heads}
    file = folder / backup_set.ANCHOR
    trust = trust_of(keys) if keys is not None else Trust(public_key=bytes.fromhex(manifest.public_key))
    anchors: list[Checkpoint] = []
    if file.stat().st_size:
        reading = read_file(file, trust)
        if reading.wrong is not None and not reading.unproven:
            raise ModelError(reading.wrong)
        anchors += reading.checkpoints
    anchors += [anchor for anchor in more if anchor.seq <= ends.get(anchor.writer, 0)]
    last: dict[str, tuple[int, str]] = {}

    def noted() -> Iterator[Row]:
        for row in chain_rows(folder):
            if isinstance(row.row_hash, bytes) and isinstance(row.seq, int):
                last[str(row.writer)] = (row.seq, row.row_hash.hex())
            yield row

    found = verify_rows(noted(), keys.chain if keys is not None else None, anchors)
    if found.fault is None and last != {end.writer: (end.seq, end.row_hash) for end in manifest.heads}:
        raise ModelError(f"{folder / backup_set.MANIFEST}: the chains do not end where it says")
    return found


def _evidence(
    folder: Path, manifest: Manifest, keys: Keys | None, on_progress: Callable[[str, int], None]
) -> int:
    """Look at every object; say how many the key has opened."""
    there = set()
    for number, kept in enumerate(backup_set.read_index(folder)):
        on_progress("evidence", number)
        file = folder / backup_set.object_file(kept.address)
        try:
            found = backup_set.digest_of(file)
        except OSError as err:
            raise ModelError(f"{file}: evidence cannot be read: {err.strerror}") from err
        if (found.size, found.sha256) != (kept.size, kept.sha256):
            raise ModelError(f"{file}: evidence was altered")
        there.add(kept.address)
    subject_keys: dict[str, bytes] = {}
    if keys is not None:
        for row in backup_set.read_rows(folder, SUBJECT_KEY):
            if row["wrapped"] is not None:
                subject_keys[row["subject_id"]] = unseal(keys.wrap, row["wrapped"], "subject", row["subject_id"])
    rows = backup_set.read_rows(folder, EVIDENCE)
    return sum(_fits(folder, manifest, row, there, keys, subject_keys) for row in rows)


def _fits(
    folder: Path,
    manifest: Manifest,
    row: dict[str, Any],
    there: set[str],
    keys: Keys | None,
    subject_keys: dict[str, bytes],
) -> int:
    address, account_id = row["address"], row["account_id"]
    if address == NOWHERE or address in manifest.absent:
        return 0
    file = folder / backup_set.object_file(address)
    if address not in there:
        raise ModelError(f"{file}: evidence of transaction {row['transaction_id']} is missing")
    key = subject_keys.get(account_id)
    if keys is None or key is None:
        return 0
    try:
        opened(file.read_bytes(), address, account_id, key, keys.pseudonym)
    except (PortError, OSError) as err:
        raise ModelError(f"{file}: is not the evidence of {row['transaction_id']}: {err}") from err
    return 1
