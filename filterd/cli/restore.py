"""`filterd restore`: a backup in the place of a lost ledger, or a person's word for what is missing.

ops/docs/BACKUP.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.backup import Key, PassphraseFile, RecoveryKey, described, find_master_of, key_file, wrapping
from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import events_of, key_of, load_config
from filterd.cli.say import complain, count, printable, result
from filterd.errors import ConfigError, ModelError, UsageError

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.ledger.backup_set import Manifest
    from filterd.ledger.recovery import Acceptance, Recovered
    from filterd.ledger.restore import Place
    from filterd.ledger.traces import Heard, Plan
    from filterd.ports import Keys

_NAMED_AT_MOST = 50


def restore(
    backup: Annotated[
        Path | None,
        typer.Argument(metavar="SET", help="The backup; without one, look at the store that is there."),
    ] = None,
    anchor: Annotated[
        list[Path] | None,
        typer.Option("--anchor", metavar="FILE", help="An anchor file, or a copy, from after it; may be repeated."),
    ] = None,
    events: Annotated[
        list[Path] | None,
        typer.Option("--events", metavar="DIR", help="Event streams from after it; may be repeated."),
    ] = None,
    erased: Annotated[
        Path | None,
        typer.Option("--erased", metavar="FILE", help="Ids of accounts and tenants erased since, one a line."),
    ] = None,
    trust_streams: Annotated[
        bool,
        typer.Option("--trust-streams", help="Take rows that cannot be proven, too: nobody could reach the streams."),
    ] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Go on without what is missing; needs --by and --reason.")
    ] = False,
    by: Annotated[
        str | None, typer.Option("--by", metavar="PERSON", help="Who answers for it: a person of this ledger, or root.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it goes into the ledger.")] = None,
    passphrase_file: PassphraseFile = None,
    recovery_key: RecoveryKey = None,
    key: Key = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Put a backup into an empty state directory or database, with what is known to have come after it.

    Where something is missing the ledger does not start until a person accepts that: the same command without SET, with
    --accept-loss --by PERSON --reason WHY. Exit 0: it may start; 1: refused, or something is missing.
    """
    from filterd.app.parts import desk_rules, fold, load_agreements, make_clock
    from filterd.cli.customs import customs
    from filterd.ledger.restore import Place, recover

    settings = load_config(config, state_dir)
    if accept_loss and (not by or not (reason or "").strip()):
        raise UsageError("--accept-loss needs --by PERSON and --reason WHY")
    place = Place(state_dir=settings.node.state_dir, node=settings.node.name, url=settings.ledger.url)
    keys, heard, manifest = _prepare(
        settings, place, backup, anchor or (), events or (), key, wrapping_of=(passphrase_file, recovery_key)
    )
    plan, done = recover(
        place,
        keys,
        fold,
        heard,
        customs(desk_rules(settings, load_agreements(settings))),
        now=make_clock(settings).now(),
        acceptance=_acceptance(place, keys, by, reason) if accept_loss else None,
        erased=_ids(erased),
        trusts_streams=trust_streams,
    )
    if by == "root" and accept_loss:
        complain("WARNING: the loss is accepted as root. No named person answers for it, and everybody can see that")
    said = _said(plan, done) | {"backup": None if manifest is None else described(manifest)}
    result(said, as_json=as_json, text=lambda: _lines(plan, done, manifest))
    if not done.is_accepted:
        complain(
            "something is missing, and the ledger will not start: look for more anchors and streams, or say"
            " `filterd restore --accept-loss --by PERSON --reason WHY`"
        )
        raise typer.Exit(1)


def _prepare(
    config: Config,
    place: Place,
    backup: Path | None,
    anchor: Sequence[Path],
    events: Sequence[Path],
    key: str | None,
    *,
    wrapping_of: tuple[Path | None, Path | None],
) -> tuple[Keys, Heard, Manifest | None]:
    """Find the keys and what is known of later rows; put the backup in its place where one is given."""
    from filterd.clients.key_source import find_master
    from filterd.clients.keys import derive
    from filterd.ledger.anchor import FILE_NAME
    from filterd.ledger.backup_tar import as_folder
    from filterd.ledger.backup_verify import verify_set
    from filterd.ledger.restore import load, read_anchors, refuse_what_is_not_empty, write_key
    from filterd.ledger.traces import hear

    for folder in events:
        if not folder.exists():
            raise ConfigError("is not there", file=folder, key="--events")
    if backup is None:
        keys = derive(find_master(key or config.keys.master, key_of(config), may_create=False))
        own = place.state_dir / FILE_NAME
        anchors = read_anchors([*anchor, *([own] if own.exists() else [])], keys)
        streams = [*events, *([events_of(config)] if events_of(config).is_dir() else [])]
        return keys, hear(streams, anchors), None
    refuse_what_is_not_empty(place)
    with as_folder(backup) as folder:
        master = find_master_of(folder, config, key, wrapping(*wrapping_of))
        if master is None:
            raise ModelError(f"{backup}: give the passphrase or recovery key of its master key, or --key")
        keys = derive(master)
        anchors = read_anchors(anchor, keys)
        found = verify_set(folder, keys=keys, more_anchors=anchors)
        if found.fault is not None or found.manifest is None:
            raise ModelError(f"{backup}: is not restored: {found.fault}")
        heard = hear(events, anchors)
        load(folder, found.manifest, place, keys, anchor, heard)
        # Last: without it nothing starts from what a crash left half done.
        file = key_file(config)
        if key is None and file is not None:
            write_key(file, master)
        return keys, heard, found.manifest


def _acceptance(place: Place, keys: Keys, by: str | None, reason: str | None) -> Acceptance:
    from filterd.ledger.recovery import Acceptance
    from filterd.ledger.restore import backup_time

    return Acceptance(by=by or "", reason=(reason or "").strip(), taken_at=backup_time(place, keys))


def _ids(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError("cannot be read", file=file, key="--erased") from err
    found = []
    for number, line in enumerate(lines, start=1):
        subject_id = line.partition("#")[0].strip()
        if subject_id and not subject_id.startswith(("a_", "n_")):
            raise ConfigError("is no id of an account or tenant", file=file, line=number, key="--erased")
        if subject_id:
            found.append(subject_id)
    return found


# --- words ------------------------------------------------------------------------------------------------------------


def _said(plan: Plan, done: Recovered) -> dict[str, Any]:
    return asdict(done) | {
        "is_known": plan.is_known,
        "doubtful": [f"{told.place[0]} {told.place[1]} {told.row.kind!s}" for told in plan.doubtful],
        "may_start": done.is_accepted,
    }


def _lines(plan: Plan, done: Recovered, manifest: Manifest | None) -> Iterator[str]:
    if manifest is not None:
        yield f"restored the backup of {manifest.taken_at}, taken on {manifest.node}"
    if not plan.is_known:
        yield "UNKNOWN what came after it: no anchor or stream was given that reaches that far"
    if done.is_accepted:
        yield f"{count(done.in_place, 'row')} put back in place, {done.again} written again under new numbers"
    else:
        yield f"{count(len(plan.in_place) + len(plan.again), 'row')} can be put back"
    for item in done.missing:
        last = f"row {item.last}" if item.last is not None else "nobody knows where"
        yield f"missing: {item.writer} from row {item.first} to {last}"
    for told in plan.doubtful[:_NAMED_AT_MOST]:
        yield f"not proven: {told.place[0]} row {told.place[1]}, {told.row.kind!s} of {told.row.written_at!s}"
    for account_id, why in list(done.affected.items())[:_NAMED_AT_MOST]:
        yield f"look at {printable(account_id)}: {printable('; '.join(why))}"
    if len(done.affected) > _NAMED_AT_MOST:
        yield f"and {count(len(done.affected) - _NAMED_AT_MOST, 'more account')}; all with --json"
    if done.erased:
        yield f"erased again: {', '.join(done.erased)}"
    if done.sent or done.promised:
        yield f"notices: {done.sent} had gone out and do not again, {done.promised} promised again"
    for incident_id in done.unsure[:_NAMED_AT_MOST]:
        yield f"nobody knows whether the notice of {incident_id} went out"
    for transaction_id in done.lost_evidence[:_NAMED_AT_MOST]:
        yield f"evidence is lost: {transaction_id}"
    for person in done.people:
        yield f"added since, and needs a new token: {printable(person)}"
    yield "the ledger may start" if done.is_accepted else "the ledger does not start like this"
