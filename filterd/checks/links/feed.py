"""The operator's list of harmful links: hosts, URLs and digests of either.  CLAUSES TX-3.5.2, `phishing.known`.

One entry a line, UTF-8; blank lines and lines that begin with `#` are skipped.
A host (`evil.example`) lists itself and every name below it. A URL or `host/path` lists that address, with or without a
query; one that ends in `/` lists what is below it too. `sha256:` and 64 hex digits list any of these in its plain form
(`evil.example`, `evil.example/path?query`), for feeds that do not want to be read.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from filterd.checks import psl
from filterd.checks.links import place
from filterd.checks.links.place import Place
from filterd.errors import ConfigError

# About two million hosts; more belongs into a database.
MAX_FEED_BYTES = 64 << 20
# As the Safe Browsing protocols do: so many parents of a host, so many folders of a path.
_MOST_PARENTS, _MOST_FOLDERS = 5, 5

_DIGEST = re.compile(r"(?i)sha256:([0-9a-f]{64})")


class Feed:
    """A feed in memory. `plain` and `digests` say in which line an entry stands."""

    def __init__(self, plain: dict[str, int], digests: dict[bytes, int]) -> None:
        self._plain = plain
        self._digests = digests

    def __len__(self) -> int:
        return len(self._plain) + len(self._digests)

    def line_of(self, found: Place) -> int | None:
        """Say which line lists a place, or None."""
        if not self:
            return None
        for expression in expressions(found):
            line = self._plain.get(expression)
            if line is None and self._digests:
                line = self._digests.get(hashlib.sha256(expression.encode()).digest())
            if line is not None:
                return line
        return None


EMPTY = Feed({}, {})


def expressions(found: Place) -> tuple[str, ...]:
    """Give every entry that would list a place, the most exact first."""
    host = found.authority
    exact = f"{host}{found.path}"
    folders = found.path.split("/")[1:-1][: _MOST_FOLDERS - 1]
    below = [f"{host}/{'/'.join(folders[:depth])}/".replace("//", "/") for depth in range(len(folders), -1, -1)]
    names = found.host.split(".")
    parents = [] if found.notation else [".".join(names[at:]) for at in range(1, len(names) - 1)][-_MOST_PARENTS:]
    asked = (f"{exact}?{found.query}",) if found.query else ()
    return (*asked, exact, *below, *dict.fromkeys((host, found.host)), *parents)


def parse(octets: bytes, file: str | Path) -> Feed:
    """Read a feed. Raises ConfigError with the first line that is none of the forms, or that would list everything."""
    plain: dict[str, int] = {}
    digests: dict[bytes, int] = {}
    for number, line in enumerate(octets.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        try:
            entry = line.decode("utf-8").strip()
        except UnicodeDecodeError as err:
            raise ConfigError("not UTF-8", file=file, line=number) from err
        if not entry or entry.startswith("#"):
            continue
        if digest := _DIGEST.fullmatch(entry):
            digests.setdefault(bytes.fromhex(digest[1]), number)
        else:
            plain.setdefault(_entry(entry, file, number), number)
    return Feed(plain, digests)


def load(file: Path) -> Feed:
    """Read a feed from a file. Raises ConfigError: unreadable, too large, or wrong in a line."""
    try:
        with file.open("rb") as source:
            octets = source.read(MAX_FEED_BYTES + 1)
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=file) from err
    if len(octets) > MAX_FEED_BYTES:
        raise ConfigError(f"larger than {MAX_FEED_BYTES} bytes", file=file)
    return parse(octets, file)


def _entry(written: str, file: str | Path, line: int) -> str:
    found = place.read(written)
    is_name = found is not None and ("." in found.host or ":" in found.host) and not re.search(r"\s", written)
    if found is None or not is_name:
        raise ConfigError("neither a host, nor a URL, nor sha256: and 64 hex digits", file=file, line=line)
    is_host = found.path == "/" and not found.query and not written.rstrip().endswith("/")
    if not is_host:
        return f"{found.authority}{found.path}" + (f"?{found.query}" if found.query else "")
    if not found.notation and psl.load().is_public_suffix(found.host):
        raise ConfigError("a public suffix: it would list the hosts of everybody below it", file=file, line=line)
    return found.authority
