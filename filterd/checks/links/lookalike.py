"""Which protected domain does a host pass for?  UTS 39; MAIL-PATH item 32."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from filterd.checks import psl
from filterd.mail.confusables import is_mixed_script, skeleton, to_unicode

# Of a host so many of the last labels are compared.
_MOST_LABELS = 8
# Behind a protected name: any public suffix.
_EVERYWHERE = ".*"


class Likeness(NamedTuple):
    """How a host deceives: "skeleton", "suffix" (the name under another public suffix), "embedded" (the domain stands
    in front of another) or "mixed" (scripts)."""

    how: str
    protected: str | None


class Protected:
    """The domains nobody else may pass for, ready for comparing with any number of hosts.

    `name.*` protects a name under every public suffix: a host that has it and is below no domain of the list passes for
    it.
    """

    def __init__(self, domains: Iterable[str]) -> None:
        said = frozenset(filter(None, map(to_unicode, domains)))
        self._domains = frozenset(domain for domain in said if not domain.endswith(_EVERYWHERE))
        everywhere = sorted(said - self._domains)
        self._everywhere = {skeleton(name.removesuffix(_EVERYWHERE)): name for name in everywhere}
        self._skeletons = {skeleton(domain): domain for domain in sorted(self._domains)}

    def has(self, host: str) -> bool:
        """Say whether a host is a protected domain or below one."""
        return not self._domains.isdisjoint(_tails(to_unicode(host).split(".")))

    def likeness(self, host: str) -> Likeness | None:
        """Say whom a host passes for, or None: also for a protected domain itself and every name below it.

        Args:
            host: A-labels.
        """
        labels = to_unicode(host).split(".")
        tails = _tails(labels)
        if not self._domains.isdisjoint(tails):
            return None
        if self._everywhere and (everywhere := self._under_another_suffix(host)) is not None:
            return Likeness("suffix", everywhere)
        if self._domains:
            for tail in tails:
                if protected := self._skeletons.get(skeleton(tail)):
                    return Likeness("skeleton", protected)
            # In front of what was registered: `bank.example.cn` may be the bank's own, as many names end in `.com.cn`.
            public = (psl.load().registrable(host) or host).count(".") + 1
            for end in range(2, len(labels) - public + 1):
                if embedded := self._domains.intersection(_tails(labels[:end])):
                    return Likeness("embedded", min(embedded))
        return Likeness("mixed", None) if any(map(is_mixed_script, labels)) else None

    def _under_another_suffix(self, host: str) -> str | None:
        registered = psl.load().registrable(host)
        return self._everywhere.get(skeleton(to_unicode(registered).partition(".")[0])) if registered else None


def _tails(labels: list[str]) -> list[str]:
    return [".".join(labels[at:]) for at in range(max(0, len(labels) - _MOST_LABELS), len(labels))]
