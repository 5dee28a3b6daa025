"""What two people have approved, beside what the files say: for the doctor and for commands.  STANDING 5.5."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filterd.errors import LedgerUnavailable

if TYPE_CHECKING:
    from filterd.agreement.terms import Agreement
    from filterd.config import Config

ENTRIES_VERB = "register.list"
_LIST, _RAISED = "term_list.adopted", "category.raised"
LOCKED_ENABLED, _LOCKED_ADOPTED = "locked_lists.enabled", "locked_list.adopted"
LOCKED_STATES = {
    "in_force": "in force",
    "off": "off: two people have not approved it",
    "held_back": "held back: what was approved last acts, where its copy is there",
    "disabled": "off: two people have not let such lists run",
    "expired": "expired",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """By id the digest of each list; and (digest of the agreement, category) of what is raised."""

    lists: Mapping[str, str]
    raised: frozenset[tuple[str, str]]

    @staticmethod
    def of(rows: Iterable[Mapping[str, Any]]) -> Approvals:
        """Read them from the register's entries in force."""
        rows = list(rows)
        return Approvals(
            lists={row["list_id"]: row["digest"] for row in rows if row["register"] == _LIST},
            raised=frozenset((x["policy_digest"], x["category"]) for x in rows if x["register"] == _RAISED),
        )


def needs_two(config: Config, texts: Iterable[Agreement]) -> bool:
    """Say whether there is anything that takes two people: a folder of lists, or a raised category."""
    has_lists = config.terms.folder is not None or config.terms.locked_folder is not None
    return has_lists or any(x.raised for terms in texts for x in terms.category)


def approvals(config: Config, texts: Iterable[Agreement] = ()) -> Approvals | None:
    """Ask the running ledger; None where it does not run or is not ours to ask. Nothing to ask for: nothing is asked.

    Args:
        texts: the agreements that are looked at.
    """
    from filterd.cli.link import ask

    if not needs_two(config, texts):
        return Approvals(lists={}, raised=frozenset())
    try:
        return Approvals.of(ask(config, ENTRIES_VERB))
    except (LedgerUnavailable, OSError):
        return None


def list_rows(config: Config, approved: Approvals | None) -> list[dict[str, Any]]:
    """Say each term list of the folder with what acts of it. Raises ConfigError for a faulty one."""
    from filterd.clients.adopted_lists import FOLDER, TermCopies
    from filterd.clients.clock import SystemClock
    from filterd.clients.term_lists import load_terms, read_list

    if config.terms.folder is None:
        return []
    clock, copies = SystemClock(), TermCopies(config.node.state_dir / FOLDER, read_list)
    rows = []
    for one in load_terms(config.terms.folder, clock.now()):
        digest = approved.lists.get(one.id) if approved is not None else None
        kept = copies.find(one.id, digest, clock) if digest not in (None, one.digest) and digest else None
        if approved is None:
            state = "unknown"
        elif clock.now() >= one.expires_at:
            state = "expired"
        elif digest == one.digest:
            state = "in_force"
        else:
            state = "held_back" if kept is not None and clock.now() < kept.expires_at else "off"
        rows.append(
            {
                "list": one.id,
                "label": one.label,
                "file": str(one.file),
                "digest": one.digest,
                "approved": digest,
                "state": state,
                "entries": len(one.terms) + len(one.patterns),
                "expires_at": one.expires_at.isoformat(),
            }
        )
    return rows


def locked_rows(config: Config, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say each list of a locked category with what acts of it. Raises ConfigError for a faulty one.

    Args:
        entries: the register's entries in force.
    """
    from filterd.clients.clock import SystemClock
    from filterd.clients.locked_lists import load_locked

    if config.terms.locked_folder is None:
        return []
    now = SystemClock().now()
    is_enabled = any(x["register"] == LOCKED_ENABLED for x in entries)
    approved = {x["list_id"]: x["digest"] for x in entries if x["register"] == _LOCKED_ADOPTED}
    rows = []
    for one in load_locked(config.terms.locked_folder, now):
        state = "in_force" if approved.get(one.id) == one.digest else "held_back" if one.id in approved else "off"
        rows.append(
            {
                "list": one.id,
                "category": one.category,
                "on_hit": one.on_hit,
                "file": str(one.file),
                "digest": one.digest,
                "approved": approved.get(one.id),
                "entries": len(one.terms) + len(one.patterns),
                "expires_at": one.expires_at.isoformat(),
                "state": "expired" if now >= one.expires_at else state if is_enabled else "disabled",
            }
        )
    return rows


def list_faults(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Say what of the lists does not act although its file is there, and what to do about it."""
    for row in rows:
        if row["state"] not in ("held_back", "off"):
            continue
        instead = f"{row['approved'][:12]} acts in its place" if row["state"] == "held_back" else "the list is off"
        what = f"term list {row['list']}: two people have not approved {row['digest'][:12]}; {instead}"
        yield what, f"filterd terms propose {row['file']} --reason WHY, then another person: filterd proposal approve"


def raised_faults(terms: Agreement, approved: Approvals | None) -> Iterator[tuple[str, str]]:
    """Say which categories a text raises without two people behind it, and what to do about it."""
    from filterd.app.raised import how_to_raise

    for category in terms.category:
        if not category.raised:
            continue
        name = f"category {category.id} of {terms.id} {terms.version}"
        do = how_to_raise(terms.id, terms.version, category.id)
        if approved is None:
            yield f"{name}: is raised; that takes two people and a rehearsal, and nobody can be asked for them", do
        elif (terms.digest, category.id) not in approved.raised:
            yield f"{name}: is raised; that takes two people and a rehearsal: until then it acts as not raised", do
