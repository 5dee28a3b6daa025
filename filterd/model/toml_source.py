"""TOML with positions, so that an error names the line. Standard library; pydantic only through what the caller passes.

tomllib gives values without lines. A key's line is found again in the text by walking its table headers, which is
enough for files that people write: headers, `key = value`, arrays of tables and inline values.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from filterd.errors import ConfigError

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=""")


class _Validating(Protocol):
    @classmethod
    def model_validate(cls, obj: Any) -> Any: ...


M = TypeVar("M", bound=_Validating)


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlSource:
    """A parsed file and its text."""

    file: str
    text: str
    values: dict[str, Any]

    @classmethod
    def read(cls, file: Path) -> TomlSource:
        """Read and parse. Raises ConfigError for a missing, unreadable or malformed file."""
        try:
            return cls.of(file.read_bytes(), str(file))
        except OSError as err:
            raise ConfigError(f"cannot be read: {err.strerror}", file=file) from err

    @classmethod
    def of(cls, data: bytes, name: str) -> TomlSource:
        """Parse octets that came from `name`."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as err:
            line = data[: err.start].count(b"\n") + 1
            raise ConfigError("is not UTF-8", file=name, line=line) from err
        try:
            return cls(file=name, text=text, values=tomllib.loads(text))
        except tomllib.TOMLDecodeError as err:
            found = re.search(r"at line (\d+)", str(err))
            raise ConfigError(str(err), file=name, line=int(found[1]) if found else None) from err

    def line_of(self, path: Sequence[str | int]) -> int | None:
        """Say the 1-based line where the deepest known part of `path` stands, or None."""
        best: tuple[int, int] | None = None
        want = [str(p) for p in path]
        prefix: list[str] = []
        counts: dict[str, int] = {}
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := _HEADER.match(line):
                prefix = _split(header[2])
                if header[1] == "[[":
                    name = ".".join(prefix)
                    index = counts.get(name, -1) + 1
                    counts[name] = index
                    prefix = [*prefix, str(index)]
                else:
                    prefix = self._with_indices(prefix, counts)
                here = prefix
            elif key := _KEY.match(line):
                here = [*prefix, *_split(key[1])]
            else:
                continue
            depth = _shared(here, want)
            if (depth == len(here) or depth == len(want)) and (best is None or depth > best[0]):
                best = (depth, number)
        return best[1] if best else None

    @staticmethod
    def _with_indices(parts: list[str], counts: dict[str, int]) -> list[str]:
        out: list[str] = []
        for i, part in enumerate(parts):
            out.append(part)
            name = ".".join(parts[: i + 1])
            if name in counts:
                out.append(str(counts[name]))
        return out

    def error(self, message: str, path: Sequence[str | int]) -> ConfigError:
        """Make the error for what stands at `path`."""
        return ConfigError(message, file=self.file, line=self.line_of(path), key=".".join(str(p) for p in path) or None)


def validate(model: type[M], source: TomlSource) -> M:
    """Turn a source into `model`. Raises ConfigError for the first thing wrong, naming file, line and key."""
    try:
        return model.model_validate(source.values)  # type: ignore[no-any-return]
    except ValueError as err:
        errors = getattr(err, "errors", None)
        if errors is None:
            raise source.error(str(err), ()) from err
        # A misspelt key is both unknown and missing; the unknown one has a line.
        first = min(errors(), key=lambda e: e["type"] != "extra_forbidden")
        message = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown key"
        raise source.error(message, tuple(first["loc"])) from err


def _split(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in re.split(r"\.(?=(?:[^\"']|\"[^\"]*\"|'[^']*')*$)", dotted)]


def _shared(left: Sequence[str], right: Sequence[str]) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count
