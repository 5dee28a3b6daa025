"""Was a new version of an agreement announced before it began?  TX-4.1.4, TX-1.2, 9.1.

Customers are told of new terms beforehand (`filterd change announce terms`). A version that nobody was told of is in
force all the same, but does not stand alone: beside it stands the last one they were told of, and the milder sanction
of the two counts, until the day that an announcement names. A supplement is signed by both sides and needs none; nor
does a tenant that came when the version was in force already, for it is the one it came under.
"""

from __future__ import annotations

from datetime import datetime

from filterd.agreement.terms import Agreement
from filterd.agreement.versions import begins_at, versions
from filterd.model import records as r
from filterd.model.standing import History

TERMS = "terms"


def older_told(
    terms: Agreement,
    at_act: Agreement,
    site: History,
    at: datetime,
    *,
    tenant_id: str | None,
    since: datetime | None,
) -> Agreement | None:
    """Say the version that a tenant was told of last, where it is older than the one its act falls under; else None.

    Args:
        terms: any version that `shelved` gave out.
        at_act: the version in force at the act.
        at: when the act was (aware).
        site: the site's own history, with what was announced.
        since: when the tenant came; None: nobody can say, and it was there before.
    """
    if terms.supplements is not None:
        return None
    known = [item for item in versions(terms) if begins_at(item) <= begins_at(at_act)]
    for item in reversed(known[1:]):
        if (since is not None and begins_at(item) <= since) or _is_told(item, terms, site, at, tenant_id):
            return item if item.digest != at_act.digest else None
    # The first one replaced nothing.
    return known[0] if known and known[0].digest != at_act.digest else None


def unannounced(terms: Agreement, site: History, at: datetime, *, began_at: datetime | None) -> tuple[Agreement, ...]:
    """Say which versions, in force at `at` or to come, not all customers have been told of by the day they begin, or by
    now where that is later.

    Args:
        began_at: when our record began: what was in force then was told elsewhere. None: no record, nothing was.
    """
    if terms.supplements is not None:
        return ()
    later = [x for x in versions(terms)[1:] if began_at is None or begins_at(x) > began_at]
    return tuple(x for x in later if not _is_told(x, terms, site, max(at, begins_at(x)), None))


def _is_told(version: Agreement, terms: Agreement, site: History, at: datetime, tenant_id: str | None) -> bool:
    """Say whether a day that was announced for this version has come: the day it begins, or a later one before the next
    version begins."""
    return any(
        x.what == TERMS
        and x.tenant_id in (None, tenant_id)
        and x.agreement in ("", version.id)
        and x.effective_at <= at
        and _at_day_of(terms, x.effective_at) is version
        for x in site.of(r.ChangeAnnounced)
    )


def _at_day_of(terms: Agreement, at: datetime) -> Agreement | None:
    """Say the newest version that begins on the day of `at` or before, by each one's calendar."""
    return next(
        (x for x in reversed(versions(terms)) if x.calendar.day_of(begins_at(x)) <= x.calendar.day_of(at)), None
    )
