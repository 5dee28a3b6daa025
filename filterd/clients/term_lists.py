"""Term lists of the operator: a folder of TOML files, read at start and again when one of them has changed.

Each file is one list (ops/docs/TERM-LISTS.md). Refused, with file, line and key: a label that is unknown or locked
(political, religious, reputational: those are locked_lists), no legal basis, an end more than 180 days ahead (CLAUSES
§5, sunset), a term that would be found everywhere, a pattern re2 does not take. A list whose end has passed is off, and
said so once at each reading. A faulty change leaves those lists in force that were, and is said once. No term is ever
in an error: it names the entry by its number.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Generic, Protocol, TypeVar

import re2
from pydantic import BaseModel, ConfigDict, Field, field_validator

from filterd.clients.watched import Watched
from filterd.errors import ConfigError
from filterd.mail.normal import Folding
from filterd.model.toml_source import TomlSource, validate
from filterd.ports import Clock

LABELS = (
    "spam", "advertising", "phishing", "fraud", "sexual", "gambling", "harassment", "hate", "violence", "terror",
    "insult", "drugs", "weapons",
)  # fmt: skip
# CLAUSES mode C1, in the words operators may try.
LOCKED = (
    "political", "politics", "politic", "pol", "religious", "religion", "cult", "superstition", "reputational",
    "reputation", "rep", "defamation", "slander", "libel", "rights", "portrait", "rumour", "rumor", "assembly",
    "protest", "organisation", "state_security", "national_security", "ethnic",
)  # fmt: skip
SUNSET = timedelta(days=180)

MAX_FILE_BYTES = 4 << 20
MAX_FILES = 100
MAX_TERM_CHARS = 64
MAX_PATTERN_CHARS = 500
# Two Chinese characters make a word; of letters it takes three, and one list may have some thousands of either.
_MIN_HAN = 2
_MIN_LETTERS = 3
_HAN = re.compile("[\u3007\u3400-\u9fff\U00020000-\U0003ffff]")
_FOLDING = Folding({})


class Listed(Protocol):
    """What every list has, whatever may come of it."""

    @property
    def id(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def file(self) -> Path: ...


L = TypeVar("L", bound=Listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class TermList:
    """One list; implements checks.terms_book.TermList. `file`: where it was read."""

    id: str
    label: str
    digest: str
    expires_at: datetime
    confidence: float
    at_least: int
    terms: tuple[str, ...]
    patterns: tuple[str, ...]
    languages: tuple[str, ...]
    legal_basis: str
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of one reading of the folder, for the service log: ids and, for a faulty change, the error's text."""

    in_force: tuple[str, ...]
    expired: tuple[str, ...] = ()
    error: str | None = None


class Entries(BaseModel):
    """The keys that every list file has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,8})?$")], ...] = Field(min_length=1)
    legal_basis: str = Field(min_length=10, max_length=1_000)
    expires_at: datetime | date
    at_least: int = Field(1, ge=1, le=100)
    terms: tuple[Annotated[str, Field(max_length=MAX_TERM_CHARS)], ...] = Field((), max_length=50_000)
    patterns: tuple[Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARS)], ...] = Field((), max_length=500)


class _File(Entries):
    """The keys of a list file."""

    label: str
    confidence: float = Field(0.5, gt=0, le=1)

    @field_validator("label")
    @classmethod
    def _is_open(cls, label: str) -> str:
        area = label.strip().lower().replace("-", "_").partition(".")[0]
        if area in LOCKED:
            raise ValueError(
                f"{label!r} is a locked category: a list on it stands in terms.locked_folder, with category in place"
                " of label, and needs two people"
            )
        if label not in LABELS:
            raise ValueError(f"{label!r} is no label; one of {', '.join(LABELS)}")
        return label


E = TypeVar("E", bound=Entries)


def load_terms(folder: Path, now: datetime) -> tuple[TermList, ...]:
    """Read every list of a folder, expired ones too, in the order of their ids. Raises ConfigError, as load_lists."""
    return load_lists(folder, now, read_list)


def load_lists(folder: Path, now: datetime, read: Callable[[Path, datetime], L]) -> tuple[L, ...]:
    """Read every list of a folder by `read`, expired ones too, in the order of their ids.

    Raises:
        ConfigError: for the first thing wrong, with file, line and key.
    """
    try:
        files = sorted(x for x in folder.iterdir() if x.suffix == ".toml" and not x.name.startswith("."))
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=folder) from err
    if len(files) > MAX_FILES:
        raise ConfigError(f"{len(files)} lists; at most {MAX_FILES}", file=folder)
    found: dict[str, L] = {}
    for file in files:
        one = read(file, now)
        if one.id in found:
            raise ConfigError(f"another file of this folder has the id {one.id!r} too", file=file, key="id")
        found[one.id] = one
    return tuple(found[name] for name in sorted(found))


class ListFolder(Watched, Generic[L]):
    """The lists of a folder that have not expired.

    Args:
        recheck_s: how long a look at the folder is good for.
        on_reading: told of each reading; runs in a thread after the first one.
        load: reads the folder.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        load: Callable[[Path, datetime], tuple[L, ...]],
        recheck_s: float = 5.0,
        on_reading: Callable[[Reading], None],
    ) -> None:
        super().__init__(recheck_s)
        self._folder, self._clock, self._load, self._on_reading = folder, clock, load, on_reading
        self._lists: tuple[L, ...] = ()

    async def current(self) -> tuple[L, ...]:
        """Say the lists in force: the same tuple until something has changed."""
        await self._refresh()
        return self._lists

    def _read(self) -> None:
        now = self._clock.now()
        lists = self._load(self._folder, now)
        self._lists = tuple(x for x in lists if now < x.expires_at)
        expired = tuple(x.id for x in lists if now >= x.expires_at)
        self._on_reading(Reading(in_force=tuple(x.id for x in self._lists), expired=expired))

    def _kept(self, error: str) -> None:
        self._on_reading(Reading(in_force=tuple(x.id for x in self._lists), error=error))

    def _state(self) -> tuple[object, ...]:
        # Empty when the folder cannot be read.
        try:
            found = [(x.name, x.stat()) for x in self._folder.iterdir() if x.suffix == ".toml"]
        except OSError:
            return ()
        return tuple(sorted((name, st.st_ino, st.st_size, st.st_mtime_ns) for name, st in found))


class TermFolder(ListFolder[TermList]):
    """The lists in force; implements checks.terms.TermLists."""

    def __init__(
        self, folder: Path, clock: Clock, *, recheck_s: float = 5.0, on_reading: Callable[[Reading], None]
    ) -> None:
        super().__init__(folder, clock, load=load_terms, recheck_s=recheck_s, on_reading=on_reading)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile(Generic[E]):
    """One file that was found right: its keys, its SHA-256 in hex, and when its list ends, UTC."""

    said: E
    digest: str
    expires_at: datetime


def read_list(file: Path, now: datetime) -> TermList:
    """Read one list, an expired one too. Raises ConfigError with file, line and key."""
    one = read_entries(_File, file, now)
    said = one.said
    return TermList(
        id=said.id,
        label=said.label,
        digest=one.digest,
        expires_at=one.expires_at,
        confidence=said.confidence,
        at_least=said.at_least,
        terms=said.terms,
        patterns=said.patterns,
        languages=said.languages,
        legal_basis=said.legal_basis,
        file=file,
    )


def read_entries(model: type[E], file: Path, now: datetime) -> ReadFile[E]:
    """Read a file of these keys, and judge what every list must be. Raises ConfigError with file, line and key."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"larger than {MAX_FILE_BYTES} octets", file=file)
        octets = file.read_bytes()
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=file) from err
    source = TomlSource.of(octets, str(file))
    said = validate(model, source)
    expires_at = _instant(said.expires_at)
    if expires_at is None:
        raise source.error("needs an offset, as in 2026-06-30T00:00:00Z, or be a date: midnight UTC", ("expires_at",))
    if expires_at > now + SUNSET:
        raise source.error(f"at most {SUNSET.days} days ahead; a list is looked at again by then", ("expires_at",))
    if not said.terms and not said.patterns:
        raise source.error("neither terms nor patterns", ("terms",))
    for number, term in enumerate(said.terms):
        if fault := _fault_of_term(term):
            raise _entry_error(source, fault, "terms", number, term)
    for number, pattern in enumerate(said.patterns):
        if fault := _fault_of_pattern(pattern):
            raise _entry_error(source, fault, "patterns", number, pattern)
    return ReadFile(said=said, digest=hashlib.sha256(octets).hexdigest(), expires_at=expires_at)


def _instant(value: datetime | date) -> datetime | None:
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.astimezone(UTC) if value.tzinfo is not None else None


def _fault_of_term(term: str) -> str | None:
    plain = _FOLDING.plain(term)
    if "\n" in plain:
        return "has a line break"
    letters = sum(map(str.isalnum, plain))
    if len(_HAN.findall(plain)) < _MIN_HAN and letters < _MIN_LETTERS:
        return f"too short: at least {_MIN_HAN} Chinese characters or {_MIN_LETTERS} letters"
    return None


def _fault_of_pattern(pattern: str) -> str | None:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        return "is no pattern re2 takes"
    return "matches the empty text, so every mail" if compiled.search("") else None


def _entry_error(source: TomlSource, fault: str, key: str, index: int, entry: str) -> ConfigError:
    """Make the error for one entry of an array, on its own line where that can be found. Entries count from 1."""
    error = source.error(f"entry {index + 1}: {fault}", (key,))
    if error.line is None:
        return error
    lines = source.text.splitlines()
    for number in range(error.line, len(lines) + 1):
        if f'"{entry}"' in lines[number - 1] or f"'{entry}'" in lines[number - 1]:
            return ConfigError(error.message, file=error.file, line=number, key=key)
    return error
