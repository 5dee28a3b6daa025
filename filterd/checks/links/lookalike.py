"""Which protected domain does a host pass for?  UTS 39; MAIL-PATH item 32."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from filterd.checks import psl
from filterd.mail.confusables import is_mixed_script, skeleton, to_unicode

# Of a host so many of the last labels are compared.
_MOST_LABELS = 8


class Likeness(NamedTuple):
    """How a host deceives: "skeleton", "embedded" (the domain stands in front of another) or "mixed" (scripts)."""

    how: str
    protected: str | None


class Protected:
    """The domains nobody else may pass for, ready for comparing with any number of hosts."""

    def __init__(self, domains: Iterable[str]) -> None:
        self._domains = frozenset(filter(None, map(to_unicode, domains)))
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
        if self._domains:
            for tail in tails:
                if protected := self._skeletons.get(skeleton(tail)):
                    return Likeness("skeleton", protected)
            # In front of what was registered: `bank.example.cn` may be the bank's own, as many names end in `.com.cn`.
            registered = (psl.load().registrable(host) or host).count(".") + 1
            for end in range(2, len(labels) - registered + 1):
                if embedded := self._domains.intersection(_tails(labels[:end])):
                    return Likeness("embedded", min(embedded))
        return Likeness("mixed", None) if any(map(is_mixed_script, labels)) else None


def _tails(labels: list[str]) -> list[str]:
    return [".".join(labels[at:]) for at in range(max(0, len(labels) - _MOST_LABELS), len(labels))]
