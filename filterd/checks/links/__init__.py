"""Do the links of a mail lead where they seem to, and anywhere known to be harmful?  TX-3.5.2, 3.5.3; MAIL-PATH 32.

Needs no other verdict. Every link is brought into one spelling (place); so is one that is nested in another's query.
Harmful is what the operator's feed lists (feed); the rest are signs: a host that passes for a protected domain
(lookalike), words that show another domain, a bare address, a user name before the host, a redirector (redirects).
Only the feed is certain; every sign has its honest uses, and its confidence says how many.
Finds: link.feed.match, link.text.mismatch, link.host.lookalike, link.host.address, link.userinfo.present,
link.redirect.open. `why` names registrable domains, never paths, queries or users. Nothing is temporary: a feed that
cannot be read leaves the last one in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from filterd.checks.links.codes import CODES
from filterd.checks.links.feed import EMPTY, Feed
from filterd.checks.links.feed_file import FeedFile
from filterd.checks.links.judging import NAME, VERSION, judge
from filterd.checks.links.lookalike import Protected
from filterd.checks.spec import Builtin, Check, Context, Prompt
from filterd.model.verdict import FailMode, Verdict

__all__ = ["BUILTIN", "CODES", "NAME", "VERSION", "FeedFile", "FeedSource", "judge", "make"]

# A link costs some 50 microseconds; above this the event loop would be held (FAULTS §5).
IN_PLACE_MAX_LINKS = 200
# Of all links together. One of 2,000 characters with links in links takes 2 ms.
IN_PLACE_MAX_CHARS = 16_000
# Tenants whose own domains are kept ready; those of one mail are few.
_MOST_TENANTS = 256


class FeedSource(Protocol):
    """Where the feed in force comes from."""

    async def current(self) -> Feed: ...


def make(
    feed: FeedSource | None = None,
    *,
    protected_domains: Collection[str] = (),
    timeout_s: float = 5,
    fail_mode: FailMode = FailMode.ACCEPT,
) -> Check:
    """Make the check.

    Args:
        feed: None: there is no feed.
        protected_domains: what no other host may pass for, beside the tenant's own domains.
    """
    ready: dict[tuple[str, ...], Protected] = {}

    def protected(own: tuple[str, ...]) -> Protected:
        if own not in ready:
            if len(ready) >= _MOST_TENANTS:
                ready.clear()
            ready[own] = Protected((*protected_domains, *own))
        return ready[own]

    def is_small(context: Context) -> bool:
        found, anchors = context.message.links, context.message.anchors
        return len(found) + len(anchors) <= IN_PLACE_MAX_LINKS and sum(map(len, found)) <= IN_PLACE_MAX_CHARS

    def at_once(context: Context) -> Verdict | None:
        if feed is not None or not is_small(context):
            return None
        return judge(context.message, EMPTY, protected(context.own_domains))

    async def later(context: Context) -> Verdict:
        current = EMPTY if feed is None else await feed.current()
        guarded = protected(context.own_domains)
        if is_small(context):
            return judge(context.message, current, guarded)
        return await asyncio.to_thread(judge, context.message, current, guarded)

    run = Prompt(at_once, later)
    return Check(name=NAME, version=VERSION, codes=CODES, run=run, deadline_s=timeout_s, fail_mode=fail_mode)


BUILTIN = Builtin(name=NAME, codes=CODES, make=make)
