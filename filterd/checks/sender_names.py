"""Whose name does a sender use?  What the operator protects: domains and display names; and who imitates them.

Domains are compared by how they look (mail/confusables), each tail of labels, so that `login.` before an imitation does
not hide it. Names are compared whole, in the normal form of term lists, without blanks and punctuation: a person whose
name merely contains a protected one is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from filterd.checks.terms_book import FOLDING
from filterd.mail.confusables import is_lookalike, skeleton, to_unicode

# In the list of domains a name is allowed for: the domains of the tenant that sends, or of the one that receives.
OWN = "own"

# Names that differ from a domain in what looks the same in ASCII: written, meant.
_TWINS = (("0", "o"), ("1", "l"), ("1", "i"), ("rn", "m"), ("vv", "w"))
_MOST_CANDIDATES = 8
_MAX_NAME_CHARS = 256
_NAMED_DOMAIN = re.compile(r"@([a-z0-9-]{1,63}(?>(?:\.[a-z0-9-]{1,63}){1,8}))")


@dataclass(frozen=True, slots=True)
class Protected:
    """What nobody else may use.

    Args:
        domains: canonical; each protects what is below it too.
        names: a display name to the domains it may be used with; `own` among them: the tenant's own.
    """

    domains: tuple[str, ...] = ()
    names: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Guard:
    """The protected names, made ready for comparing."""

    def __init__(self, protected: Protected):
        self.domains = frozenset(protected.domains)
        self._by_look: dict[str, str] = {skeleton(to_unicode(domain)): domain for domain in protected.domains}
        self._names: Mapping[str, tuple[str, ...]] = {look_of_name(name): allowed for name, allowed in protected.names}

    def imitated(self, domain: str) -> str | None:
        """Say which protected domain one imitates, or None."""
        if is_within(domain, self.domains):
            return None
        labels = to_unicode(domain).split(".")
        for start in range(len(labels) - 1):
            twin = self._by_look.get(skeleton(".".join(labels[start:])))
            if twin is not None and is_lookalike(domain, twin):
                return twin
        return None

    def misuses_name(self, name: str, domain: str | None, own: Collection[str]) -> bool:
        """Say whether a display name is a protected one, or shows an address of a protected domain, that this From
        domain may not use.

        Args:
            domain: None where it is nobody's.
            own: what the word `own` means for this mail.
        """
        short = name[:_MAX_NAME_CHARS]
        allowed = self._names.get(look_of_name(short)) if self._names and short else None
        if allowed is not None:
            places = {place for place in allowed if place != OWN}
            if OWN in allowed:
                places.update(own)
            if domain is None or not is_within(domain, places):
                return True
        shown = _NAMED_DOMAIN.findall(FOLDING.plain(short)) if self.domains else []
        return any(
            is_within(domain_shown, (protected,)) and (domain is None or not is_within(domain, (protected,)))
            for domain_shown in shown
            for protected in self.domains
        )


def look_of_name(name: str) -> str:
    """Give the look of a display name: its letters and digits."""
    return "".join(filter(str.isalnum, skeleton(FOLDING.plain(name[:_MAX_NAME_CHARS]))))


def is_within(domain: str, domains: Iterable[str]) -> bool:
    """Say whether a domain is one of `domains` or below one."""
    places = domains if isinstance(domains, (set, frozenset)) else frozenset(domains)
    return any(name in places for name in parents(domain))


def parents(domain: str) -> Iterator[str]:
    """Give a domain and the names above it but the last label, the longest first."""
    labels = domain.split(".")
    for start in range(max(1, len(labels) - 1)):
        yield ".".join(labels[start:])


def originals(domain: str) -> tuple[str, ...]:
    """Guess which domains (canonical) one could imitate, for asking whose they are; mostly none."""
    text = to_unicode(domain)
    plain = "".join(_ascii(c) for c in text)
    guesses: dict[str, None] = {plain: None}
    for seen, meant in _TWINS:
        for guess in tuple(guesses):
            guesses[guess.replace(seen, meant)] = None
        if not text.isascii() and meant == "i":
            # The skeleton has one letter for l and i.
            for guess in tuple(guesses):
                guesses[_as_i(text, guess)] = None
    found = [guess for guess in guesses if guess.isascii() and guess != domain and is_lookalike(domain, guess)]
    return tuple(found[:_MOST_CANDIDATES])


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    return {"cl": "d", "rn": "m", "vv": "w"}.get(look := skeleton(character), look)


def _as_i(text: str, guess: str) -> str:
    """Read the foreign letters that look like an l as an i."""
    if len(text) != len(guess):
        return guess
    return "".join("i" if g == "l" and not t.isascii() else g for t, g in zip(text, guess, strict=True))
