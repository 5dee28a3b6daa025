"""Which part of a domain was registered?  The Public Suffix List, offline: the copy that comes with publicsuffixlist.

Reading the list takes 0.15 s and 20 MB, so it is read at the first question, or in `load` at start-up. A name without a
rule of its own falls under the rule `*`: its last label is the suffix.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

KEPT = 8192


class SuffixList:
    """A suffix list.

    Args:
        lines: of a list in the format of publicsuffix.org; None: the one that comes with the package.
        only_registries: leave out the section of companies that let customers use names below their own (github.io).
    """

    def __init__(self, lines: Iterable[str] | None = None, *, only_registries: bool = False):
        # The package encodes the rules as A-labels, so that both forms of a name are found.
        self._list = PublicSuffixList(lines, only_icann=only_registries)
        self.registrable = lru_cache(maxsize=KEPT)(self._registrable)

    def is_public_suffix(self, domain: str) -> bool:
        """Say whether people register names directly below `domain`."""
        return _is_name(domain) and self.registrable(domain) is None

    def _registrable(self, domain: str) -> str | None:
        """Say the part of `domain` that was registered; None for a public suffix, and for what is no name."""
        name = domain.lower()
        if not _is_name(name):
            return None
        found: str | None = self._list.privatesuffix(name)
        return found


def _is_name(domain: str) -> bool:
    return bool(domain) and all(domain.split("."))


@lru_cache(maxsize=1)
def load() -> SuffixList:
    """Give the list that comes with the package, read once."""
    return SuffixList()


@lru_cache(maxsize=1)
def registries() -> SuffixList:
    """Give the part of the list that registries wrote: nobody can be answerable for all of `co.uk`. Read once."""
    return SuffixList(only_registries=True)
