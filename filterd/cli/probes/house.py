"""Is what the configuration says what anybody would want?  HOUSE rules 7 and 8, MAIL-PATH §4g.

Asks nobody but the ledger, over its socket.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import filterd
from filterd.agreement.load import unmapped
from filterd.agreement.versions import versions
from filterd.checks import ALL_CODES
from filterd.cli.adopting import (
    ENTRIES_VERB,
    LOCKED_STATES,
    Approvals,
    list_faults,
    list_rows,
    locked_rows,
    needs_two,
    raised_faults,
)
from filterd.cli.link import connected
from filterd.cli.places import events_of
from filterd.cli.probes.finding import Finding, Patient, broken, ok, skipped, warning
from filterd.errors import FilterdError

# A clock that is this far behind what is already written down is wrong, not slow.
_AHEAD = datetime.timedelta(minutes=2)


async def agreement(patient: Patient) -> AsyncIterator[Finding]:
    """Are the terms there, and can this machine tell their time?"""
    if not patient.agreements:
        yield skipped("the agreements could not be read, see config")
        return
    for terms in patient.agreements.values():
        mark = ", default" if terms.id == patient.config.agreement.default else ""
        yield ok(f"{terms.id} {terms.version}, digest {terms.digest[:12]}, {len(terms.example)} examples passed{mark}")
        try:
            ZoneInfo(terms.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            yield broken(
                f"{terms.id}: this machine does not know the zone {terms.timezone}", "install the package tzdata"
            )
        if codes := unmapped(terms, ALL_CODES):
            yield warning(
                f"{terms.id}: these findings act on nothing: {', '.join(codes)}",
                "map them with a [[rule]] or list them under `advisory`",
            )


async def two_people(patient: Patient) -> AsyncIterator[Finding]:
    """Do two people stand behind the term lists and the raised categories of these files?"""
    texts = [terms for head in patient.agreements.values() for terms in versions(head)]
    if not needs_two(patient.config, texts):
        yield ok("no term lists, and no raised category")
        return
    try:
        async with connected(patient.config) as remote:
            entries = await remote.call(ENTRIES_VERB, {})
        approved = Approvals.of(entries)
        rows, locked = list_rows(patient.config, approved), locked_rows(patient.config, entries)
    except (FilterdError, OSError) as err:
        yield skipped(f"could not be looked at: {err}")
        return
    faults = [*list_faults(rows), *(fault for terms in texts for fault in raised_faults(terms, approved))]
    for what, do in faults:
        yield warning(what, do)
    if not faults:
        yield ok(f"two people have approved {len(rows)} term lists and every raised category")
    for row in locked:
        # By the file alone: what it is about is for those who decide.
        what = f"list of a locked category {row['file']}: {LOCKED_STATES[row['state']]}"
        if row["state"] in ("off", "held_back"):
            yield warning(what, f"filterd terms locked propose {row['file']} --reason WHY; another person approves")
        else:
            yield ok(what)


async def attribution(patient: Patient) -> AsyncIterator[Finding]:
    """Can anybody be held answerable for what is sent?"""
    for listener in patient.config.listener:
        name = f"listener {listener.name!r}"
        if listener.direction == "inbound":
            yield ok(f"{name} takes inbound mail; nobody has to answer for it")
        elif listener.attribution == "none":
            yield warning(
                f"{name}: attribution = 'none': nobody can be held answerable for its mail",
                "set attribution to the source your mail server shows the login by (xclient, received or header), "
                "or direction = 'inbound' where only strangers' mail comes in",
            )
        elif not listener.trusted_peers:
            yield broken(
                f"{name}: no trusted peer, so that no login is ever believed", "name the mail server's address"
            )
        else:
            yield ok(f"{name} believes {listener.attribution} from {', '.join(listener.trusted_peers)}")


async def reach(patient: Patient) -> AsyncIterator[Finding]:
    """Can a suspended account still reach those who can help it?"""
    config = patient.config
    address = config.notices.appeals_address
    if not address.rpartition("@")[0] or address.endswith(".invalid"):
        yield warning(
            f"the appeals address {address} is a placeholder: objections by mail reach nobody",
            "set notices.appeals_address to a mailbox that people read",
        )
    if config.notices.sender.rstrip(">").endswith(".invalid"):
        yield warning(
            f"notices are sent as {config.notices.sender}, which no recipient will trust",
            "set notices.sender to an address of the enforcing party",
        )
    if not config.always_reachable.addresses and not config.always_reachable.local_parts:
        yield warning(
            "[always_reachable] is empty: a suspended account can write to the appeals address only",
            "give local_parts = ['postmaster', 'abuse'], or addresses",
        )
    else:
        parts = ", ".join((*config.always_reachable.addresses, *config.always_reachable.local_parts))
        yield ok(f"a suspended account can write to {address}, {parts}")


async def paging(patient: Patient) -> AsyncIterator[Finding]:
    """Is somebody called for what cannot wait?"""
    given = patient.config.paging
    if not given.enabled:
        yield warning(
            "nobody is called: severity 4 and imminent harm wait until somebody looks into the queue",
            "set [paging] command or url; alarm on filterd_urgent_waiting meanwhile",
        )
    elif given.command and shutil.which(given.command[0]) is None:
        yield broken(f"{given.command[0]} cannot be run: nobody can be called", "mend [paging] command")
    else:
        yield ok(f"whoever is on call is called every {given.repeat_s:g} s, until somebody has it in hand")
    if not given.hotline_en or not given.hotline_zh:
        yield warning(
            "no hotline is named: whoever may harm themselves is told to call emergency services",
            "set [paging] hotline_en and hotline_zh",
        )


async def clock(patient: Patient) -> AsyncIterator[Finding]:
    """Is it now?"""
    now = datetime.datetime.now(datetime.UTC)
    if patient.config.node.clock == "settable":
        yield warning("the clock is settable: every end of a sanction is make-believe", "node.clock = 'system'")
    # Nothing this program was made of can be younger than now.
    made = _installed_at()
    last = _last_event(patient)
    if made > now + _AHEAD:
        yield broken(f"the clock says {_said(now)}, filterd was installed {_said(made)}", "set the clock; run NTP")
    elif last is not None and last > now + _AHEAD and patient.config.node.clock == "system":
        yield broken(
            f"the clock says {_said(now)}, the last event was written {_said(last)}",
            "the clock went back: set it and run NTP; sanctions end by this clock",
        )
    else:
        yield ok(f"the clock says {_said(now)}")


def _installed_at() -> datetime.datetime:
    return datetime.datetime.fromtimestamp(Path(filterd.__file__).stat().st_mtime, datetime.UTC)


def _last_event(patient: Patient) -> datetime.datetime | None:
    from filterd.cli.events import latest

    directory = events_of(patient.config)
    try:
        last = latest(directory, 1)
        return datetime.datetime.fromisoformat(last[-1]["at"]) if last else None
    except (OSError, ValueError, FilterdError):
        return None


def _said(at: datetime.datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")
