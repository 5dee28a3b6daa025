"""Whose name does a sender use?  What the operator protects: domains and display names; and who imitates them.

Domains are compared by how they look (mail/confusables), each tail of labels, so that `login.` before an imitation does
not hide it. Names are compared whole, in the normal form of term lists, without blanks and punctuation: a person whose
name merely contains a protected one is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from filterd.checks import psl
from filterd.checks.terms_book import FOLDING
from filterd.mail.confusables import is_lookalike, skeleton, to_unicode

# In the list of domains a name is allowed for: the domains of the tenant that sends, or of the one that receives.
OWN = "own"

# Names that differ from a domain in what looks the same in ASCII: written, meant.
_TWINS = (("0", "o"), ("1", "l"), ("1", "i"), ("rn", "m"), ("vv", "w"))
_MOST_CANDIDATES = 8
_MAX_NAME_CHARS = 256
# An address as a name shows it: with letters of any script, blanks around the sign, the sign as a word in brackets.
_LABEL = r"[\w-]{1,63}+"
_SHOWN = re.compile(rf"@({_LABEL}(?>(?:\.{_LABEL}){{1,8}}))")
_AT = re.compile(r"\s*+(?:@|[\[({]\s*+at\s*+[\])}])\s*+")
_DOT = re.compile(r"\s*+[.\u3002\uff61]\s*+")
# Behind a protected name: any public suffix.
_EVERYWHERE = ".*"


@dataclass(frozen=True, slots=True)
class Protected:
    """What nobody else may use.

    Args:
        domains: canonical; each protects what is below it too. `name.*` protects the name under every public suffix:
            a domain that has it and is not itself on the list imitates it.
        names: a display name to the domains it may be used with; `own` among them: the tenant's own.
    """

    domains: tuple[str, ...] = ()
    names: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Guard:
    """The protected names, made ready for comparing."""

    def __init__(self, protected: Protected):
        self.domains = frozenset(name for name in protected.domains if not name.endswith(_EVERYWHERE))
        self._by_look: dict[str, str] = {skeleton(to_unicode(domain)): domain for domain in self.domains}
        everywhere = (name for name in protected.domains if name.endswith(_EVERYWHERE))
        self._everywhere = {skeleton(to_unicode(name.removesuffix(_EVERYWHERE))): name for name in everywhere}
        self._names: Mapping[str, tuple[str, ...]] = {look_of_name(name): allowed for name, allowed in protected.names}

    def imitated(self, domain: str) -> str | None:
        """Say which protected domain, or name under every suffix, one imitates, or None."""
        if is_within(domain, self.domains):
            return None
        labels = to_unicode(domain).split(".")
        for start in range(len(labels) - 1):
            twin = self._by_look.get(skeleton(".".join(labels[start:])))
            if twin is not None and is_lookalike(domain, twin):
                return twin
        registered = psl.load().registrable(domain) if self._everywhere else None
        if registered is None:
            return None
        return self._everywhere.get(skeleton(to_unicode(registered).partition(".")[0]))

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
        return bool(self.domains) and any(
            not (domain is not None and is_within(domain, (shown, protected)))
            for shown in _shown_domains(short)
            if (protected := self._looks_within(shown)) is not None
        )

    def _looks_within(self, shown: str) -> str | None:
        """Say which protected domain one is, is below, or looks like, as it stands in a name."""
        labels = shown.split(".")
        tails = (".".join(labels[start:]) for start in range(len(labels) - 1))
        return next((self._by_look[look] for tail in tails if (look := skeleton(tail)) in self._by_look), None)


def _shown_domains(name: str) -> Iterator[str]:
    """Give the domains of the addresses that a display name shows, as they are written or with its blanks taken out."""
    plain = _AT.sub("@", FOLDING.plain(name))
    if "@" not in plain:
        return
    yield from _SHOWN.findall(plain)
    joined = _DOT.sub(".", plain)
    if joined != plain:
        for domain in _SHOWN.findall(joined):
            # Words behind it may have been joined to it.
            labels = domain.split(".")
            yield from (".".join(labels[:end]) for end in range(2, len(labels) + 1))
    if (bare := "".join(plain.split())) != plain:
        yield from _SHOWN.findall(bare)


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
