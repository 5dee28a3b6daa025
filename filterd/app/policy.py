"""What a reload changes: a configuration and everything that is read from the files it names.

`read_policy` does what a start does, as far as it can be done without touching anything: whoever has a Policy has one
that was found right as a whole. What cannot change while the processes run is told by `check_change`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from filterd.agreement.terms import Agreement
from filterd.agreement.versions import versions
from filterd.app.checks import Files, Neighbours, build_checks, dns_resolver, read_files
from filterd.app.parts import load_agreements, mail_rules
from filterd.clients.clamd import ClamdScanner
from filterd.clients.clock import SystemClock
from filterd.clients.locked_lists import load_locked
from filterd.config import Config, load
from filterd.errors import ConfigError
from filterd.model.sanction import Mode
from filterd.model.toml_source import TomlSource
from filterd.ports import Clock

# Tables that a reload takes. Every other one, also one that is added some day, needs a restart.
RELOADABLE = frozenset(
    {
        "clamd", "spam", "content", "dns", "authentication", "attachments", "links", "pii", "terms", "sender", "rate",
        "agreement", "staffing", "accounts", "inbound", "exceptions", "notices", "signing", "always_reachable",
    }
)  # fmt: skip
# And these keys of theirs: a connection that is open, and an address that other parts were told at their start.
FIXED = frozenset({"notices.relay", "notices.appeals_address"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A configuration with its agreements and files.

    Args:
        previous: by digest, the agreements of the policy before this one: mail that began under them ends under them.
    """

    config: Config
    agreements: Mapping[str, Agreement]
    files: Files
    previous: Mapping[str, Agreement] = field(default_factory=dict)

    @property
    def by_digest(self) -> dict[str, Agreement]:
        """The last two sets of agreements."""
        return {**self.previous, **_by_digest(self.agreements)}

    @property
    def digests(self) -> dict[str, str]:
        """By id, or by id and version where there are several of them."""
        said: dict[str, str] = {}
        for name, head in sorted(self.agreements.items()):
            known = versions(head)
            said |= {name if len(known) == 1 else f"{name} {item.version}": item.digest for item in known}
        return said

    @property
    def model_digest(self) -> str | None:
        return self.files.model.digest if self.files.model is not None else None

    @property
    def fingerprint(self) -> str:
        """The same in two processes when they decide alike. Term lists, feeds and exceptions are not in it: they
        follow their files by themselves."""
        said = [self.config.model_dump(mode="json"), self.digests, self.model_digest]
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def after(self, old: Policy) -> Policy:
        """Say this policy as the successor of `old`, which must stay known for what is under way."""
        return replace(self, previous=_by_digest(old.agreements))


def _by_digest(agreements: Mapping[str, Agreement]) -> dict[str, Agreement]:
    return {item.digest: item for head in agreements.values() for item in versions(head)}


def read_policy(config: Config, clock: Clock | None = None) -> Policy:
    """Read and check everything. Raises ConfigError or ModelError for the first thing wrong."""
    clock = clock or SystemClock()
    agreements = load_agreements(config, clock.now())
    files = read_files(config, clock)
    # Built to be thrown away: what they refuse is refused here, before any process has changed.
    build_checks(config, Neighbours(scanner=None, clock=clock), files)
    dns_resolver(config)
    mail_rules(config)
    check_locked(config, agreements, clock)
    if config.clamd.enabled and config.clamd.address != "auto":
        ClamdScanner(config.clamd.address, timeout_s=1, max_connections=1)
    return Policy(config=config, agreements=agreements, files=files)


def check_locked(config: Config, agreements: Mapping[str, Agreement], clock: Clock) -> None:
    """Raise ConfigError where a locked list is of a category that no agreement leaves to people alone (C1)."""
    if config.terms.locked_folder is None:
        return
    texts = [item for head in agreements.values() for item in versions(head)]
    known = sorted({c.id for item in texts for c in item.category if c.mode is Mode.C1})
    for one in load_locked(config.terms.locked_folder, clock.now()):
        if one.category not in known:
            raise TomlSource.read(one.file).error(
                f"{one.category!r} is no locked category of an agreement here; those are {', '.join(known)}",
                ("category",),
            )


def reread(file: Path | None, old: Policy, clock: Clock) -> Policy:
    """Read the policy that is to follow `old`. Raises ConfigError or ModelError; says nothing to anybody."""
    if file is None:
        raise ConfigError("started without a configuration file: there is nothing to read again")
    config = load(file)
    check_change(old.config, config, file)
    return read_policy(config, clock).after(old)


def check_change(old: Config, new: Config, file: Path) -> None:
    """Raise ConfigError naming every key that was changed and cannot be without a restart."""
    fixed = [key for key in differing(old, new) if key.partition(".")[0] not in RELOADABLE or key in FIXED]
    if fixed:
        error = TomlSource.read(file).error("cannot change without a restart", fixed[0].split("."))
        raise ConfigError(error.message, file=file, line=error.line, key=", ".join(fixed))


def changes(old: Policy, new: Policy) -> dict[str, Any]:
    """Say what the step from `old` to `new` changes, for people and programs."""
    before, after = old.digests, new.digests
    names = sorted({*before, *after})
    has_new_model = old.model_digest != new.model_digest and new.files.model is not None
    return {
        "keys": list(differing(old.config, new.config)),
        "agreements": {name: after.get(name) for name in names if before.get(name) != after.get(name)},
        "model": f"{new.files.model.name} {new.files.model.version}" if has_new_model and new.files.model else None,
    }


def differing(old: Config, new: Config) -> tuple[str, ...]:
    """Say the dotted keys whose values differ."""
    return tuple(_differing(old.model_dump(), new.model_dump(), ""))


def _differing(old: Any, new: Any, at: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            yield from _differing(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
    elif _is_tables(old) and _is_tables(new) and len(old) == len(new):
        for number, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _differing(left, right, f"{at}.{number}")
    else:
        yield at


def _is_tables(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(item, dict) for item in value)
