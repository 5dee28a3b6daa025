"""How a tenant has bought, out of the columns of a list: channel, first day, months.  TX-2.1.1, 2.2.3.

`channel` is `direct` or `dealer`. `term_months` makes the last day of the term, from the day agreed with the dealer
(`starts_on`), or from the day on which the tenant came into our record.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from filterd.agreement.sale import Term, term_of
from filterd.errors import PeerError
from filterd.model import records as r
from filterd.model.principal import DEALER, DIRECT, Tenant
from filterd.pipeline.import_rows import Row, day, kept, text
from filterd.pipeline.import_supplement import WrongCell
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn

CHANNEL, STARTS_ON, MONTHS, LAST_DAY = "channel", "starts_on", "term_months", "expires_on"
COLUMNS = (CHANNEL, STARTS_ON, MONTHS)
MAX_MONTHS = 120


def read_sale(row: Row, base: Tenant, after: Tenant, recorded_on: date) -> Tenant:
    """Put what a row says of the sale into a tenant. Raises WrongCell.

    Args:
        recorded_on: the day on which it came into our record, today for a new one.
    """
    key = CHANNEL
    try:
        channel = kept(row, key, base.channel, _channel)
        if channel == DEALER and after.reseller is None:
            raise PeerError("is dealer, and no dealer is named")
        key = STARTS_ON
        starts_on = kept(row, key, base.starts_on, day)
        if starts_on is not None and channel != DEALER:
            raise PeerError("is what was agreed with a dealer; bought directly, the day on record counts")
        key = MONTHS
        months = kept(row, key, base.term_months, _months)
        if months is not None and row.values.get(MONTHS) and row.values.get(LAST_DAY):
            raise PeerError("makes the last day; leave expires_on out")
    except PeerError as err:
        raise WrongCell(key, str(err)) from err
    after = replace(after, channel=channel, starts_on=starts_on, term_months=months)
    is_said = {CHANNEL, STARTS_ON, MONTHS} & row.values.keys()
    if months is None or LAST_DAY in row.values or not is_said:
        return after
    return replace(after, expires_on=term_of(channel, starts_on, recorded_on, months).last_day)


def recorded_on(txn: LedgerTxn, tenant: Tenant | None, rules: DeskRules) -> date:
    """Say on which day a tenant came into our record, on its agreement's calendar; today for a new one."""
    at = txn.now
    if tenant is not None:
        at = next((x.at for x in txn.records(tenant.tenant_id) if isinstance(x, r.TenantOpened)), at)
    known = tenant is not None and tenant.agreement in rules.terms
    return rules.terms_for(tenant if known else None, txn.now).calendar.day_of(at)


def sale_facts(txn: LedgerTxn, tenant: Tenant, rules: DeskRules) -> dict[str, Any]:
    """Say how a tenant has bought and when its term begins, and by whose word."""
    term: Term = term_of(tenant.channel, tenant.starts_on, recorded_on(txn, tenant, rules), None)
    return {"channel": tenant.channel, "term_begins": term.first_day.isoformat(), "begins_by": term.by}


def _channel(row: Row, key: str) -> str | None:
    said = text(row, key)
    if said not in (None, DIRECT, DEALER):
        raise PeerError(f"{said!r} is none of {DIRECT}, {DEALER}")
    return said


def _months(row: Row, key: str) -> int | None:
    value = row.values.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        months = int(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else 0
    except ValueError:
        months = 0
    if not 0 < months <= MAX_MONTHS:
        raise PeerError(f"must be a whole number of months, 1 to {MAX_MONTHS}")
    return months
