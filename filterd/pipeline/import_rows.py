"""Rows of a list on their way into the directory: what one may hold, what is wrong with it, what it would change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any, Generic, Literal, TypeVar

from filterd.errors import PeerError, RefusedError, UsageError
from filterd.mail.address import parse_forward_path
from filterd.model.principal import Account, Supplement, Tenant
from filterd.pipeline.identity import Leaving
from filterd.pipeline.notices import LANGUAGES

# One list is one transaction, in which no mail can be decided: at two milliseconds for a new account, twenty seconds.
MAX_ROWS = 10_000
# What is said of a list in which everything is wrong.
MAX_FAULTS = 100
MAX_EXTERNAL_ID_CHARS = 500

Subject = TypeVar("Subject", Tenant, Account)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: the line it stands on, and its columns. A column that is not there says nothing; None takes away."""

    line: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a row, or worth a word. The message quotes nothing but what the row itself says."""

    line: int
    key: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Generic[Subject]):
    """What one row comes to. `changes` maps a field to its value before and after; `leaving`: an account that loses its
    login by it."""

    line: int
    what: Literal["create", "change", "unchanged", "retire"]
    before: Subject | None
    after: Subject
    changes: Mapping[str, tuple[Any, Any]]
    leaving: Leaving | None = None


@dataclass(slots=True)
class Plan(Generic[Subject]):
    """What a whole list comes to. Nothing of it is done while there are errors; notes keep nothing from being done."""

    items: list[Planned[Subject]] = field(default_factory=list)
    errors: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)

    def note(self, row: Row, key: str, message: str) -> None:
        self.notes.append(Fault(line=row.line, key=key, message=message))

    def fault(self, row: Row, key: str, message: str) -> None:
        self.errors.append(Fault(line=row.line, key=key, message=message))

    def add(self, row: Row, before: Subject | None, after: Subject) -> None:
        """Note what has to be done so that `after` stands in the directory."""
        changes = {
            f.name: (None if before is None else plain(getattr(before, f.name)), plain(getattr(after, f.name)))
            for f in fields(after)
            if before is None or getattr(before, f.name) != getattr(after, f.name)
        }
        what: Literal["create", "change", "unchanged"] = "create" if before is None else "change"
        what = what if changes else "unchanged"
        self.items.append(Planned(line=row.line, what=what, before=before, after=after, changes=changes))

    def retire(self: Plan[Account], row: Row, leaving: Leaving) -> None:
        """Note an account that loses its login to the one of this row."""
        before, after = leaving.before, leaving.after
        planned = Planned(line=row.line, what="retire", before=before, after=after, changes={}, leaving=leaving)
        self.items.append(planned)

    def answer(self, name: Callable[[Subject], str], *, is_dry: bool) -> dict[str, Any]:
        """Say what was done, or would be. With errors nothing was."""
        done = [] if self.errors else self.items
        return {
            "dry_run": is_dry,
            "created": sum(item.what == "create" for item in done),
            "changed": sum(item.what == "change" for item in done),
            "retired": sum(item.what == "retire" for item in done),
            "unchanged": sum(item.what == "unchanged" for item in done),
            "changes": [
                {
                    "line": item.line,
                    "what": item.what,
                    "name": name(item.after),
                    "fields": {
                        key: {"from": old, "to": new}
                        for key, (old, new) in item.changes.items()
                        if item.what == "change" or new not in (None, [], False)
                    },
                }
                for item in done
                if item.what != "unchanged"
            ],
            "errors": _told(self.errors),
            "notes": [] if self.errors else _told(self.notes),
        }


def _told(faults: list[Fault]) -> list[dict[str, Any]]:
    shown = sorted(faults, key=lambda fault: fault.line)[:MAX_FAULTS]
    return [{"line": fault.line, "key": fault.key, "message": fault.message} for fault in shown]


def rows_of(arguments: Mapping[str, Any]) -> list[Row]:
    """Read `rows` of a request. Raises UsageError for what no client of ours sends, RefusedError for too many."""
    given = arguments.get("rows")
    if not isinstance(given, list):
        raise UsageError("rows: a list of objects")
    if len(given) > MAX_ROWS:
        raise RefusedError(f"{len(given)} rows; a list has at most {MAX_ROWS}, take it in parts")
    rows = []
    for item in given:
        if not isinstance(item, dict) or not isinstance(item.get("line"), int):
            raise UsageError("rows: every one is an object with its line")
        rows.append(Row(line=item["line"], values={key: value for key, value in item.items() if key != "line"}))
    return rows


# --- one column -------------------------------------------------------------------------------------------------------


def text(row: Row, key: str) -> str | None:
    """Say a column as text without blanks around it; None when it is empty. Raises PeerError for anything else."""
    value = row.values.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise PeerError("must be text")
    if not value.isprintable():
        raise PeerError("holds characters that cannot be printed")
    return value.strip() or None


def kept(row: Row, key: str, known: T | None, read: Callable[[Row, str], T | None]) -> T | None:
    """Say what `read` makes of a column, or what is known when the list does not have it."""
    return read(row, key) if key in row.values else known


def language(row: Row, key: str) -> str | None:
    """Read a language that notices can be written in. Raises PeerError."""
    said = text(row, key)
    if said is not None and said not in LANGUAGES:
        raise PeerError(f"{said!r} is none of {', '.join(LANGUAGES)}")
    return said


def contact(row: Row, key: str) -> str | None:
    """Read an address that takes mail. Raises PeerError."""
    said = text(row, key)
    if said is None:
        return None
    path = parse_forward_path(b"<" + said.encode("utf-8") + b">", smtputf8=True)
    if not path.domain:
        raise PeerError("address has no domain")
    return said


def day(row: Row, key: str) -> date | None:
    """Read a day, YYYY-MM-DD. Raises PeerError."""
    said = text(row, key)
    if said is None:
        return None
    try:
        found = date.fromisoformat(said)
    except ValueError:
        found = None
    # Python reads 20260302 and 2026-W10-1 too; a list that is read by people has one form.
    if found is None or found.isoformat() != said:
        raise PeerError(f"{said!r} is no day of the form YYYY-MM-DD")
    return found


def words(row: Row, key: str, read: Callable[[str], str]) -> tuple[str, ...]:
    """Read several words, parted by blanks, commas or semicolons, or a list of them. Raises PeerError.

    Args:
        read: makes one word what it has to be, or raises PeerError.
    """
    value = row.values.get(key)
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise PeerError("must be a list of text")
        said = list(value)
    else:
        said = (text(row, key) or "").replace(";", " ").replace(",", " ").split()
    found = []
    for word in said:
        try:
            found.append(read(word))
        except PeerError as err:
            raise PeerError(f"{word!r}: {err}") from err
    return tuple(dict.fromkeys(found))


def external_id(row: Row, key: str) -> str | None:
    """Read what the operator's own directory calls somebody; a number will do. Raises PeerError."""
    value = row.values.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    said = text(row, key)
    if said is not None and len(said) > MAX_EXTERNAL_ID_CHARS:
        raise PeerError("is too long")
    return said


def plain(value: Any) -> Any:
    """Say a field as JSON can hold it."""
    match value:
        case tuple():
            return list(value)
        case date():
            return value.isoformat()
        case Supplement():
            return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
        case _:
            return value
