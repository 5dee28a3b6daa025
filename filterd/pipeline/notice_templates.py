"""The templates of notices: where they are, which version each is, and what a value may look like inside one.

CLAUSES §7, FAULTS row 55. Templates are ours and run in a sandbox; what a user or a tenant chose (a name, an address)
is only ever a value: it loses control characters and line ends and is never read as a template. A name that a template
does not know is an error, never a blank. The first line of a template is the subject.

`manifest.toml` beside them numbers the versions and says which clauses of which agreement a general notice cites. Its
digests tell a template that was changed since: a notice says so by a `+` and the digest behind the version.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from jinja2 import FunctionLoader, StrictUndefined, TemplateError, TemplateNotFound, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field

from filterd.agreement.clauses import Register, load_register
from filterd.agreement.disposition import BULK_RECIPIENTS
from filterd.agreement.sections import Section
from filterd.errors import ConfigError, ModelError, UsageError
from filterd.model.toml_source import TomlSource, validate
from filterd.pipeline.notice_table import EVENTS
from filterd.pipeline.replies import case_id

LANGUAGES = ("zh-Hans", "en")

# Notices that rest on a statement of reasons. What heads one that tells of several things: the highest first.
TEMPLATES = ("annulled", "suspension", "restriction", "warning", "hold", "objection_received")

# What the tenant's side reads of a case that only people may judge (CLAUSES §7, `tenant_copy`).
TENANT_COPY = "tenant_copy"

MANIFEST = "manifest.toml"
_SHARED = "_*.j2"
# As many hex digits as people compare.
_DIGEST_CHARS = 8

_BLANK_LINES = re.compile(r"\n{3,}")
# No name, address or clause of ours is near this; what is longer was made to be.
_MAX_VALUE = 2000
# Control, format (bidi, zero-width), surrogate, private and unassigned characters; line and paragraph separators.
_STRIPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Numbered(Section):
    """One template in every language, or what they share. `digest`: SHA-256 over the files of that version."""

    version: int = Field(ge=1)
    digest: Digest
    cites: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Manifest(Section):
    """`manifest.toml`. `shared` are the pieces that templates are made of."""

    shared: _Numbered
    template: dict[str, _Numbered]


class Templates:
    """The templates of every language, read from `policies/notices`."""

    def __init__(self, folder: Path, registers: Path | None = None):
        """Raises ModelError when a template is missing or does not parse, or the manifest lacks one.

        Args:
            registers: folder of the clause registers, for clauses that no agreement file has because mail cannot breach
                them; None: `clauses` beside `folder`, if it is there.
        """
        files = _read(folder)
        # What is filled in is what the versions below speak of, whatever happens to the files in the meantime.
        self._environment = _environment(tuple(files.items()))
        for language in LANGUAGES:
            for name in all_templates():
                self._get(folder, f"{language}/{name}.j2")
        try:
            self._manifest = validate(Manifest, TomlSource.read(folder / MANIFEST))
            self.registers = _registers(registers if registers is not None else folder.parent / "clauses")
        except ConfigError as err:
            raise ModelError(str(err)) from err
        if odd := set(self._manifest.template) ^ set(all_templates()):
            raise ModelError(f"{folder / MANIFEST}: template {min(odd)} is in the manifest or there, not both")
        self._shared = _version(self._manifest.shared, _digest(files, _shared(files)))
        self._versions = {
            name: _version(entry, _digest(files, _of_languages(name)))
            for name, entry in self._manifest.template.items()
        }

    def _get(self, folder: Path, name: str) -> None:
        try:
            self._environment.get_template(name)
        except TemplateNotFound as err:
            raise ModelError(f"{folder / name}: there is no such template") from err
        except (TemplateError, UnicodeDecodeError) as err:
            raise ModelError(f"{folder / name}: {err}") from err

    def version(self, name: str) -> str:
        """Say the version of a template and of what it shares with the others, such as `3.1`."""
        return f"{self._versions[name]}.{self._shared}"

    def cites(self, name: str, agreement: str) -> tuple[str, ...]:
        """Say which clauses of an agreement a general notice cites, by their keys."""
        return self._manifest.template[name].cites.get(agreement, ())

    def fill(self, language: str, name: str, values: dict[str, Any]) -> str:
        """Render one template. Raises UsageError for a name that `values` lacks."""
        try:
            text = self._environment.get_template(f"{language}/{name}.j2").render(values)
        except TemplateError as err:
            raise UsageError(f"notices/{language}/{name}.j2: {err}") from err
        # Paragraphs that say nothing leave their blank lines behind; values hold no line ends.
        return _BLANK_LINES.sub("\n\n", text)


def all_templates() -> tuple[str, ...]:
    """Say every template there has to be."""
    return (*TEMPLATES, TENANT_COPY, *EVENTS)


def digest(folder: Path, name: str) -> str:
    """Say the digest of one template over all languages, hex."""
    return _digest(_read(folder), _of_languages(name))


def shared_digest(folder: Path) -> str:
    """Say the digest of the pieces that templates share, hex."""
    files = _read(folder)
    return _digest(files, _shared(files))


def plain(value: Any) -> str:
    """Make one line of text of a value: no control characters, no line ends, no invisible characters."""
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        text = "".join(" " if unicodedata.category(c) in _STRIPPED else c for c in text)
    text = " ".join(text.split())
    return text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE] + "…"


def _version(entry: _Numbered, found: str) -> str:
    return str(entry.version) if found == entry.digest else f"{entry.version}+{found[:_DIGEST_CHARS]}"


def _read(folder: Path) -> dict[str, bytes]:
    """Read every template and piece, each once, by its path below the folder."""
    found = sorted(file for language in LANGUAGES for file in (folder / language).glob("*.j2"))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def _of_languages(name: str) -> list[str]:
    return [f"{language}/{name}.j2" for language in LANGUAGES]


def _shared(files: Mapping[str, bytes]) -> list[str]:
    return sorted(name for name in files if fnmatch(name.partition("/")[2], _SHARED))


def _digest(files: Mapping[str, bytes], names: list[str]) -> str:
    whole = hashlib.sha256()
    for name in names:
        whole.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return whole.hexdigest()


def _registers(folder: Path) -> dict[str, Register]:
    found = [load_register(file.read_bytes(), str(file)) for file in sorted(folder.glob("*.toml"))]
    return {register.agreement: register for register in found}


@lru_cache(maxsize=4)
def _environment(files: tuple[tuple[str, bytes], ...]) -> ImmutableSandboxedEnvironment:
    # Kept by what the files hold, for it has the compiled templates: their time of change does not tell a new text.
    # Plain text: there is no markup to escape, and `plain` goes over every value.
    texts = dict(files)
    environment = ImmutableSandboxedEnvironment(
        loader=FunctionLoader(lambda name: texts[name].decode("utf-8") if name in texts else None),
        autoescape=False,
        undefined=StrictUndefined,
        finalize=plain,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(when=_when, day=_day, points=_points, case=_case)
    environment.globals["bulk_recipients"] = BULK_RECIPIENTS
    return environment


@pass_context
def _when(context: Context, instant: datetime) -> str:
    """Say an instant to the minute on the agreement's own clock."""
    return f"{instant.astimezone(ZoneInfo(context['zone'])):%Y-%m-%d %H:%M}"


def _day(day: date) -> str:
    return day.isoformat()


def _points(half_points: int) -> str:
    return f"{half_points / 2:g}"


def _case(incident_id: str) -> str:
    return case_id(incident_id, "")
