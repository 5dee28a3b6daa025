"""Octets to an Agreement, or a ConfigError that names file, line and key. Its examples are run before it counts."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import lru_cache

from filterd.agreement.examples import run_example
from filterd.agreement.terms import Agreement
from filterd.agreement.when import fault
from filterd.model.toml_source import TomlSource, validate

# More files than a site has agreements and versions of them.
_REMEMBERED = 32


def load(data: bytes, name: str, known_codes: Collection[str]) -> Agreement:
    """Read an agreement and run its examples; octets that this process has read before are not read again.

    Args:
        data: the file's octets; their SHA-256 becomes the agreement's digest.
        name: what errors call the file.
        known_codes: every finding code some check can give. A rule for another code is a typo that would never fire.

    Raises:
        ConfigError: for the first thing wrong, including an example that does not come out.
    """
    return _load(data, name, frozenset(known_codes))


@lru_cache(maxsize=_REMEMBERED)
def _load(data: bytes, name: str, known_codes: frozenset[str]) -> Agreement:
    # Nothing but the octets decides what comes out, and an agreement does not change: a reload reads what is new.
    source = TomlSource.of(data, name)
    agreement = _read(source, data, known_codes)
    for index, example in enumerate(agreement.example):
        if wrong := run_example(agreement, example):
            raise source.error(f"example {example.name!r} does not come out: {wrong}", ("example", index, "name"))
    return agreement


def read(data: bytes, name: str, known_codes: Collection[str]) -> Agreement:
    """Read an agreement as `load` does, its examples aside: for whoever wants to see all of them come out, or not."""
    return _read(TomlSource.of(data, name), data, known_codes)


def _read(source: TomlSource, data: bytes, known_codes: Collection[str]) -> Agreement:
    for key in ("digest", "versions"):
        if key in source.values:
            raise source.error("unknown key", (key,))
    agreement = validate(Agreement, source).model_copy(update={"digest": hashlib.sha256(data).hexdigest()})
    named: list[tuple[str, tuple[str | int, ...]]] = [
        *((rule.finding, ("rule", index, "finding")) for index, rule in enumerate(agreement.rule)),
        *((item.finding, ("protection", index, "finding")) for index, item in enumerate(agreement.protection)),
        *((code, ("bulk", index)) for index, code in enumerate(agreement.bulk)),
        *((code, ("advisory", index)) for index, code in enumerate(agreement.advisory)),
        *((code, ("security", "indicators", index)) for index, code in enumerate(agreement.security.indicators)),
    ]
    for code, where in named:
        if code not in known_codes:
            raise source.error(f"no check gives the finding {code!r}", where)
    for index, rule in enumerate(agreement.rule):
        if rule.when is not None and (wrong := fault(rule.when, known_codes)):
            raise source.error(wrong, ("rule", index, "when"))
    return agreement


def unmapped(agreement: Agreement, known_codes: Collection[str]) -> tuple[str, ...]:
    """Say which finding codes the agreement does not name at all; start-up prints them. They act on nothing."""
    named = {
        *(rule.finding for rule in agreement.rule),
        *(item.finding for item in agreement.protection),
        *agreement.bulk,
        *agreement.advisory,
        *agreement.security.indicators,
    }
    return tuple(sorted(set(known_codes) - named))
