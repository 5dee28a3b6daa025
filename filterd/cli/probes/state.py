"""Is what filterd keeps there, whole, and closed to others?  FAULTS §4."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import AsyncIterator

from filterd.cli.events import latest
from filterd.cli.keys import keys_of
from filterd.cli.ledger import verify_running
from filterd.cli.link import connected
from filterd.cli.places import events_of, key_of, socket_of
from filterd.cli.probes.finding import Finding, Patient, broken, ok, skipped, warning
from filterd.cli.say import count
from filterd.clients.keys import load_keys
from filterd.errors import FilterdError, LedgerUnavailable, ModelError
from filterd.ledger.verify import verify_store
from filterd.log.read import stream_files

# Below the first mail waits with 451 before long; below the second it is time to act.
_FREE_BROKEN_BYTES = 64 * 1024 * 1024
_FREE_WARNING_BYTES = 1024 * 1024 * 1024


async def state_dir(patient: Patient) -> AsyncIterator[Finding]:
    """Is the state directory ours alone, and is there room?"""
    directory = patient.config.node.state_dir
    try:
        found = directory.stat()
    except FileNotFoundError:
        yield broken(f"{directory} is not there", "start `filterd serve` once, or set node.state_dir")
        return
    except OSError as err:
        yield broken(f"{directory}: {err.strerror}", "run the doctor as the user filterd runs as")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield broken(f"{directory} is no directory", "set node.state_dir to one")
        return
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o027:
        yield broken(
            f"{directory}: mode {mode:04o} is open to others", f"chmod 0700 {directory} (0750 for the socket's group)"
        )
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield broken(f"{directory} cannot be written by this user", "run the doctor as the user filterd runs as")
    else:
        yield ok(f"{directory}, mode {mode:04o}")
    free = shutil.disk_usage(directory).free
    room = f"{free // (1024 * 1024)} MiB free under {directory}"
    if free < _FREE_BROKEN_BYTES:
        yield broken(room, "make room: without it all mail with a violation waits (451)")
    elif free < _FREE_WARNING_BYTES:
        yield warning(room, "make room before the ledger, the evidence and the event stream fill it")
    else:
        yield ok(room)


async def key(patient: Patient) -> AsyncIterator[Finding]:
    """Is the master key there, and nobody else's to read?"""
    source = patient.config.keys.master
    if source is not None:
        try:
            keys_of(patient.config)
        except ModelError as err:
            yield broken(str(err), "mend [keys] master: without the key the ledger can be neither read nor verified")
        else:
            yield ok(f"from {source.partition(':')[0]}; keep a copy of it apart from the state directory")
        return
    file = key_of(patient.config)
    if not file.exists():
        fix = "start `filterd serve` once to make one"
        if _has_store(patient):
            fix = "restore it from its backup: without it the ledger can be neither read nor verified"
        yield broken(f"{file} is not there", fix)
        return
    try:
        load_keys(file, may_create=False)
    except ModelError as err:
        yield broken(str(err), "mend it as the message says; do not make a new key beside an existing ledger")
        return
    yield ok(f"{file}; keep a copy of it apart from the state directory")


async def ledger(patient: Patient) -> AsyncIterator[Finding]:
    """Does the ledger answer, and is there anybody who may act?"""
    try:
        async with connected(patient.config) as remote:
            people = await remote.call("person.list", {})
            waiting = [task for task in await remote.call("task.list", {}) if task["overdue"]]
            staffing = await remote.call("staffing.show", {})
    except LedgerUnavailable as err:
        yield broken(str(err), "start `filterd serve`, or look into its log; mail with a violation waits meanwhile")
        return
    except FilterdError as err:
        yield broken(f"the ledger answers with an error: {err}", "look into the service log of the ledger process")
        return
    yield ok(f"answers on {socket_of(patient.config)}")
    if not people:
        yield warning(
            "nobody may act: no sanction can be confirmed, lifted or appealed", "filterd person add NAME --role admin"
        )
    elif len(people) == 1:
        # STANDING 5.5, staffing solo.
        yield warning(
            f"only {people[0]['name']} may act: who confirmed a sanction cannot decide its appeal",
            "filterd person add a second person",
        )
    else:
        yield ok(f"{len(people)} people may act")
    # STANDING 5.5: which promises the roster cannot keep.
    for promise in staffing["unkept"] if people else ():
        yield warning(f"{staffing['staffing']} staffing: {promise}", "add people who decide, each with their own token")
    for person in people:
        if "waits_until" in person:
            yield warning(
                f"{person['name']}, added by {person['added_by']}, is nobody's second person yet",
                f"filterd person vouch {person['name']}, by one who decides and knows them",
            )
    if waiting:
        yield warning(f"{count(len(waiting), 'task')} overdue", "filterd task list")


async def chain(patient: Patient) -> AsyncIterator[Finding]:
    """Does the chain of entries hold?"""
    config = patient.config
    try:
        keys = keys_of(config)
        if not _has_store(patient):
            yield skipped("there is no ledger yet")
            return
        try:
            found = await verify_running(config, keys)
        except LedgerUnavailable:
            found = verify_store(config.node.state_dir, keys, url=config.ledger.url)
    except (FilterdError, OSError) as err:
        yield skipped(f"could not be looked at: {err}")
        return
    if found.fault is not None:
        yield broken(
            f"the chain does not hold: {found.fault}",
            "keep the state directory as it is, and compare it with a backup or a dump (`filterd ledger verify`)",
        )
    else:
        yield ok(f"{found.rows} rows hold, {found.unanchored} of them behind the last anchor")


async def events(patient: Patient) -> AsyncIterator[Finding]:
    """Is the event stream written?"""
    directory = events_of(patient.config)
    try:
        files = stream_files(directory)
        last = latest(directory, 1)
    except OSError as err:
        yield broken(f"{directory}: {err.strerror}", "run the doctor as the user filterd runs as")
        return
    if not files:
        yield broken(f"{directory} holds no event stream", "start `filterd serve`; nothing can be explained without it")
    elif not last:
        yield warning(f"{directory}: {len(files)} files without an event", "look into the service log")
    else:
        yield ok(f"{len(files)} files in {directory}, last event {last[-1]['event']} at {last[-1]['at']}")


def _has_store(patient: Patient) -> bool:
    from filterd.ledger.store import FILE_NAME

    return (patient.config.node.state_dir / FILE_NAME).exists()
