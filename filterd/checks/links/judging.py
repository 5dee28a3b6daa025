"""One mail's links, judged."""

from __future__ import annotations

import ipaddress

from filterd.checks import psl
from filterd.checks.links import place, redirects
from filterd.checks.links.codes import ADDRESS, FEED, LOOKALIKE, MISMATCH, REDIRECT, SIGNAL, USERINFO
from filterd.checks.links.feed import Feed
from filterd.checks.links.lookalike import Protected
from filterd.checks.links.place import Place
from filterd.model.message import Anchor, Message
from filterd.model.verdict import Finding, Outcome, Verdict

NAME, VERSION = "links", "1"

# As many as the reader of a mail keeps; a message built elsewhere may hold more.
MAX_LINKS = 1_000
# Of one code; the next ones say nothing new.
MAX_FINDINGS = 5
# A URL in a URL in a URL: redirectors are chained, rarely more often.
_MOST_NESTED = 3

# How often each sign is honest, judged by its use in ordinary mail: newsletters count their readers by redirectors,
# devices at home have no names, customers paste links with a login.
_LOOKALIKE = {"skeleton": 0.9, "embedded": 0.7, "mixed": 0.7}


class _Judge:
    """Gathers findings over the links of one mail."""

    def __init__(self, feed: Feed, protected: Protected) -> None:
        self.findings: dict[tuple[str, tuple[tuple[str, str], ...]], Finding] = {}
        self._feed = feed
        self._protected = protected
        self._counts: dict[str, int] = {}
        self._hosts: set[tuple[str, str]] = set()

    def link(self, url: str, where: str, depth: int = 0) -> None:
        """Judge one link, and those that are nested in it."""
        found = place.read(url)
        if found is None:
            return
        if (line := self._feed.line_of(found)) is not None:
            self._say(FEED, 1.0, where, ("feed_line", str(line)), ("domain", _domain(found)))
        self._host(found, where)
        if found.userinfo is not None:
            is_host = "." in found.userinfo.partition(":")[0]
            self._say(USERINFO, 0.9 if is_host else 0.5, where, ("domain", _domain(found)))
        if depth >= _MOST_NESTED:
            return
        listed = redirects.listed_parameter(found)
        inner = tuple(redirects.nested(found))
        if listed and all(parameter != listed for parameter, _ in inner):
            # A number or a code stands for the destination: only the site knows it.
            self._say(REDIRECT, 0.5, where, ("through", _domain(found)), ("target", "hidden"))
        for parameter, url in inner:
            self._redirect(found, url, where, parameter, is_listed=parameter == listed)
            self.link(url, where, depth + 1)

    def anchor(self, anchor: Anchor, where: str) -> None:
        """Judge whether the words of a link show another domain than its target's."""
        shown, target = place.read(anchor.shown), place.read(anchor.target)
        if shown is None or target is None or redirects.is_rewriter(target):
            return
        seen, led = _domain(shown), _domain(target)
        if seen == led:
            return
        why: tuple[tuple[str, str], ...] = (("shown", seen), ("target", led))
        if self._protected.has(shown.host) and not self._protected.has(target.host):
            self._say(MISMATCH, 0.9, where, *why, ("shown_is", "protected"))
        else:
            self._say(MISMATCH, 0.5 if anchor.is_whole else 0.3, where, *why)

    def _host(self, found: Place, where: str) -> None:
        # The same host in another notation is another sign.
        if (found.host, found.notation) in self._hosts:
            return
        self._hosts.add((found.host, found.notation))
        if found.notation:
            is_public = ipaddress.ip_address(found.host).is_global
            reach = ("reach", "public" if is_public else "private")
            is_plain = found.notation in ("dotted", "ipv6")
            confidence = (0.6 if is_public else 0.2) if is_plain else 0.9
            self._say(ADDRESS, confidence, where, ("notation", found.notation), reach)
        elif likeness := self._protected.likeness(found.host):
            why: tuple[tuple[str, str], ...] = (("how", likeness.how), ("domain", _domain(found)))
            if likeness.protected is not None:
                why += (("protected", likeness.protected),)
            self._say(LOOKALIKE, _LOOKALIKE[likeness.how], where, *why)

    def _redirect(self, found: Place, url: str, where: str, parameter: str, *, is_listed: bool) -> None:
        target = place.read(url)
        if target is None or redirects.is_rewriter(found) or _domain(target) == _domain(found):
            return
        if is_listed or (parameter in redirects.DESTINATIONS and not redirects.is_sharer(found)):
            confidence = 0.6 if is_listed else 0.3
            self._say(REDIRECT, confidence, where, ("through", _domain(found)), ("target", _domain(target)))

    def _say(self, code: str, confidence: float, where: str, *why: tuple[str, str]) -> None:
        if (code, why) in self.findings or self._counts.get(code, 0) >= MAX_FINDINGS:
            return
        self._counts[code] = self._counts.get(code, 0) + 1
        self.findings[code, why] = Finding(code=code, confidence=confidence, where=where, why=why, signal=SIGNAL)


def judge(message: Message, feed: Feed, protected: Protected) -> Verdict:
    """Say what is known of the links of a mail, and what is odd about them."""
    judging = _Judge(feed, protected)
    for number, url in enumerate(message.links[:MAX_LINKS], 1):
        judging.link(url, f"link.{number}")
    for number, anchor in enumerate(message.anchors[:MAX_LINKS], 1):
        judging.anchor(anchor, f"anchor.{number}")
    findings = tuple(judging.findings.values())
    return Verdict(
        check=NAME, version=VERSION, outcome=Outcome.FOUND if findings else Outcome.CLEAN, findings=findings
    )


def _domain(found: Place) -> str:
    """Say the registrable domain of a host; a public suffix or an address stands for itself."""
    return found.host if found.notation else psl.load().registrable(found.host) or found.host
