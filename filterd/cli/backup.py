"""`filterd backup`: take a backup of the ledger while it runs, and look whether one is whole.  ops/docs/BACKUP.md."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import events_of, key_of, load_config
from filterd.cli.say import Progress, complain, count, result
from filterd.errors import ConfigError, LedgerUnavailable, ModelError, UsageError

if TYPE_CHECKING:
    from filterd.clients.wrapped_key import Wrapping
    from filterd.config import Config
    from filterd.ledger.backup import Source
    from filterd.ledger.backup_set import Manifest
    from filterd.ledger.backup_verify import SetFound
    from filterd.ledger.remote import RemoteLedger

backups = typer.Typer(help="Backups of the ledger: take one, verify one. `filterd restore` puts one back.")

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="The passphrase that the master key is wrapped under; or put it into FILTERD_BACKUP_PASSPHRASE.",
    ),
]
RecoveryKey = Annotated[
    Path | None,
    typer.Option("--recovery-key", metavar="FILE", help="Instead: a file of 32 octets or 64 hex digits."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="SOURCE",
        help="The master key: a file, env:NAME or command:/path; default: in the state directory.",
    ),
]
# The name of a variable.
PASSPHRASE_VARIABLE = "FILTERD_BACKUP_PASSPHRASE"  # noqa: S105
# A copy of some gigabytes, and the queue before it.
_COPY_WITHIN_S = 600.0
_NAMED_AT_ONCE = 500


@backups.command("create")
def create(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A folder to be made, or a file NAME.tar.")],
    without_key: Annotated[
        bool, typer.Option("--without-key", help="Leave the master key out: it is kept elsewhere.")
    ] = False,
    previous: Annotated[
        Path | None,
        typer.Option("--previous", metavar="DIR", help="An older backup here: evidence it has is linked, not copied."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    recovery_key: RecoveryKey = None,
    key: Key = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Take a backup of store, evidence, anchors and keys as one set, whether the ledger runs or not.

    Run it as root or as the user filterd runs as. Mail waits only while a SQLite file is copied.
    """
    from filterd import __version__
    from filterd.clients.clock import SystemClock
    from filterd.clients.key_source import find_master
    from filterd.clients.keys import derive
    from filterd.clients.wrapped_key import wrap
    from filterd.ledger.backup import Put, take
    from filterd.ledger.backup_tar import SUFFIX, pack

    settings = load_config(config, state_dir)
    under = wrapping(passphrase_file, recovery_key)
    if (under is None) != without_key:
        raise UsageError(
            f"say what the master key is wrapped under (--passphrase-file, {PASSPHRASE_VARIABLE} or --recovery-key),"
            " or --without-key; not both"
        )
    if under is None:
        complain(
            "WARNING: the master key is NOT in this backup. Without it nothing in it can be read or verified: keep it"
            " elsewhere, and look that you have it"
        )
    master = find_master(key or settings.keys.master, key_of(settings), may_create=False)
    target, is_file = target.absolute(), target.suffix == SUFFIX
    began_s, progress = time.monotonic(), Progress("backup")
    with ExitStack() as stack:
        stack.enter_context(_one_at_a_time(settings))
        source, pause_s = stack.enter_context(_source(settings, derive(master).chain))
        folder = target
        if is_file:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".tmp-backup-", dir=target.parent)))
            folder = folder / "set"
        put = Put(
            target=folder,
            node=settings.node.name,
            program=__version__,
            now=SystemClock().now(),
            key=None if under is None else wrap(master, under),
            previous=previous,
        )
        manifest = take(source, put, derive(master), lambda what, number: progress.say(f"{what} {number}"))
        if is_file:
            pack(folder, target)
    progress.end()
    if manifest.absent:
        complain(f"WARNING: {count(len(manifest.absent), 'object')} of evidence is missing in the vault itself")
    said = described(manifest) | {"set": str(target), "seconds": round(time.monotonic() - began_s, 3)}
    said["paused_seconds"] = None if pause_s is None else round(pause_s, 3)
    result(said, as_json=as_json, text=lambda: _created(manifest, target, pause_s))


@backups.command("verify")
def verify(
    place: Annotated[Path, typer.Argument(metavar="SET", help="The backup: a folder, or a file NAME.tar.")],
    anchor: Annotated[
        list[Path] | None,
        typer.Option("--anchor", metavar="FILE", help="A copy of the anchor file to compare with; may be repeated."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    recovery_key: RecoveryKey = None,
    key: Key = None,
    public_key: Annotated[
        str | None, typer.Option("--public-key", metavar="HEX", help="Go by this key, without the master key.")
    ] = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Look at all of a backup, offline, and say the first thing wrong. Exit 1 when there is one.

    With the master key (out of the backup by its passphrase, or given) rows and evidence are opened and proven.
    """
    from filterd.clients.keys import derive
    from filterd.ledger.backup_tar import as_folder
    from filterd.ledger.backup_verify import verify_set
    from filterd.ledger.restore import read_anchors

    settings, progress = load_config(config, state_dir), Progress("verified")
    with as_folder(place) as folder:
        master = None
        if public_key is None:
            master = find_master_of(folder, settings, key, wrapping(passphrase_file, recovery_key))
        keys = None if master is None else derive(master)
        if anchor and keys is None:
            raise UsageError("--anchor takes the master key")
        found = verify_set(
            folder,
            keys=keys,
            public_key=_public(public_key),
            more_anchors=read_anchors(anchor or (), keys) if keys is not None else (),
            on_progress=lambda what, number: progress.say(f"{what} {number}"),
        )
    progress.end()
    if found.fault is not None:
        complain(f"this backup is not whole: {found.fault}")
    result(_found(found), as_json=as_json, text=lambda: _verified(found))
    if not found.is_sound:
        raise typer.Exit(1)


# --- keys -------------------------------------------------------------------------------------------------------------


def wrapping(passphrase_file: Path | None, recovery_key: Path | None) -> Wrapping | None:
    """Say what the master key is wrapped under, as far as it is given. Raises ConfigError, ModelError."""
    from filterd.clients.keys import load_master
    from filterd.clients.wrapped_key import Wrapping

    if recovery_key is not None:
        return Wrapping(recovery_key=load_master(recovery_key, may_create=False))
    if passphrase_file is not None:
        try:
            text = passphrase_file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as err:
            raise ConfigError("the passphrase cannot be read", file=passphrase_file) from err
        return Wrapping(passphrase=text)
    given = os.environ.get(PASSPHRASE_VARIABLE)
    return Wrapping(passphrase=given) if given else None


def find_master_of(folder: Path, config: Config, given: str | None, under: Wrapping | None) -> bytes | None:
    """Find the master key of a set: as given, out of the set, or where the node has it; None when it is nowhere."""
    from filterd.clients.key_source import find_master
    from filterd.clients.wrapped_key import unwrap
    from filterd.ledger.backup_set import KEY

    if given is not None:
        return find_master(given, key_of(config), may_create=False)
    wrapped, file = folder / KEY, key_file(config)
    if under is not None:
        if not wrapped.exists():
            raise ModelError(f"{folder}: the master key was left out of this backup; give it with --key")
        return unwrap(wrapped.read_bytes(), under, str(wrapped))
    if file is None or file.exists():
        return find_master(config.keys.master, key_of(config), may_create=False)
    return None


def key_file(config: Config) -> Path | None:
    """Say where the node keeps its master key, None where that is no file."""
    kind, _, rest = (config.keys.master or f"file:{key_of(config)}").partition(":")
    return Path(rest) if kind == "file" else None


def _public(given: str | None) -> bytes | None:
    if given is None:
        return None
    try:
        octets = bytes.fromhex(given.strip())
    except ValueError:
        octets = b""
    if len(octets) != 32:
        raise ConfigError("is no public key of 64 hex digits", key="--public-key")
    return octets


# --- the ledger -------------------------------------------------------------------------------------------------------


@contextmanager
def _one_at_a_time(config: Config) -> Iterator[None]:
    directory = config.node.state_dir
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no state directory here")
    fd = os.open(directory / "backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise UsageError(f"{directory}: another backup is being taken") from err
        yield
    finally:
        os.close(fd)


@contextmanager
def _source(config: Config, chain_key: bytes) -> Iterator[tuple[Source, float | None]]:
    """Have a snapshot of the ledger; and how long its writer stood still for that, None where it did not."""
    from filterd.ledger.anchor import FILE_NAME
    from filterd.ledger.backup import Source, snapshot_of_database, snapshot_of_file, whole_lines
    from filterd.ledger.equipment import VAULT_NAME
    from filterd.ledger.traces import stream_ends

    directory, url = config.node.state_dir, config.ledger.url
    # Before the snapshot: the anchors must not have seen more than it holds.
    anchor = whole_lines(directory / FILE_NAME)
    if url is not None:
        with snapshot_of_database(url) as connection:
            yield (
                Source(
                    connection=connection,
                    store="postgresql",
                    vault=None,
                    anchor=anchor,
                    streams=stream_ends(events_of(config)),
                    still_named=set,
                ),
                None,
            )
        return
    with ExitStack() as stack:
        copied = _copy_of_running(config)
        if copied is not None:
            stack.callback(copied[0].unlink, missing_ok=True)
            file, pause_s = copied
        else:
            file, pause_s = stack.enter_context(_stopped(directory, chain_key)), None
        yield (
            Source(
                connection=stack.enter_context(snapshot_of_file(file)),
                store="sqlite",
                vault=directory / VAULT_NAME,
                anchor=anchor,
                streams=stream_ends(events_of(config)),
                still_named=set if copied is None else lambda addresses: _still_named(config, addresses),
            ),
            pause_s,
        )


@contextmanager
def _stopped(directory: Path, chain_key: bytes) -> Iterator[Path]:
    """Hold the lock of a ledger that is not running; say its file."""
    from filterd.ledger.store import FILE_NAME, StateLock, open_store

    lock = StateLock(directory)
    try:
        # Opened as the ledger opens it: what a crash left half done is rolled back, and it is ours.
        open_store(directory, chain_key, may_create=False).close()
        yield directory / FILE_NAME
    finally:
        lock.release()


def _copy_of_running(config: Config) -> tuple[Path, float] | None:
    """Have a running ledger copy its store; say where and how long that took, None when none runs."""
    import asyncio

    from filterd.cli.link import connected
    from filterd.ledger.backup_copy import VERB

    async def go() -> tuple[Path, float]:
        async with connected(config, answer_within_s=_COPY_WITHIN_S) as ledger:
            began_s = time.monotonic()
            copy = Path(str(await ledger.call(VERB, {"as_root": True})))
            return copy, time.monotonic() - began_s

    try:
        copy, pause_s = asyncio.run(go())
    except LedgerUnavailable:
        return None
    if not copy.exists():
        raise LedgerUnavailable(f"{copy}: the ledger could not copy its store; its service log says why")
    fd = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return copy, pause_s


def _still_named(config: Config, addresses: Collection[str]) -> set[str]:
    import asyncio

    from filterd.cli.link import connected
    from filterd.ledger.backup_copy import NAMED_VERB

    wanted = sorted(addresses)

    async def ask(ledger: RemoteLedger) -> set[str]:
        named: set[str] = set()
        for start in range(0, len(wanted), _NAMED_AT_ONCE):
            named |= set(await ledger.call(NAMED_VERB, {"addresses": wanted[start : start + _NAMED_AT_ONCE]}))
        return named

    async def go() -> set[str]:
        async with connected(config) as ledger:
            return await ask(ledger)

    return asyncio.run(go())


# --- words ------------------------------------------------------------------------------------------------------------


def described(manifest: Manifest) -> dict[str, Any]:
    """Say what a set holds, as JSON."""
    return {
        "taken_at": manifest.taken_at,
        "node": manifest.node,
        "store": manifest.store,
        "program": manifest.program,
        "schema": manifest.schema,
        "heads": {end.writer: end.seq for end in manifest.heads},
        "rows": {Path(name).stem: x.rows for name, x in manifest.files.items() if x.rows},
        "evidence": manifest.objects,
        "evidence_bytes": manifest.object_bytes,
        "absent": list(manifest.absent),
        "has_key": manifest.has_key,
    }


def _created(manifest: Manifest, target: Path, pause_s: float | None) -> Iterator[str]:
    rows = sum(x.rows or 0 for x in manifest.files.values())
    yield f"{target}: {count(rows, 'row')}, {count(manifest.objects, 'object')} of evidence"
    for end in manifest.heads:
        yield f"{end.writer} goes up to row {end.seq}"
    if pause_s is not None:
        yield f"the ledger's writer stood still for {pause_s:.2f} s"
    yield "the master key is in it, wrapped" if manifest.has_key else "the master key is NOT in it"


def _found(found: SetFound) -> dict[str, Any]:
    said = {} if found.manifest is None else described(found.manifest)
    return said | {
        "sound": found.is_sound,
        "fault": found.fault,
        "ledger_rows": found.rows,
        "unanchored": found.unanchored,
        "opened": found.opened,
        "proven": "contents" if found.has_read_contents else "hashes",
    }


def _verified(found: SetFound) -> Iterator[str]:
    if found.manifest is None or not found.is_sound:
        yield "do not rely on this backup"
        return
    yield f"whole: taken {found.manifest.taken_at} on {found.manifest.node} by filterd {found.manifest.program}"
    yield f"the chain holds: {count(found.rows, 'row')}, {found.unanchored} of them behind the last anchor"
    yield f"{count(found.manifest.objects, 'object')} of evidence, {found.opened} opened with their keys"
    if not found.has_read_contents:
        yield "without the master key: only digests and hashes were followed"
    if found.manifest.absent:
        yield f"{count(len(found.manifest.absent), 'object')} of evidence was missing already when it was taken"
    if not found.manifest.has_key:
        yield "the master key is not in it: without it nothing can be restored"
