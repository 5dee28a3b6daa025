"""The record of a signed supplement, out of the columns of a list and in words for people.  AL-9.1, CLAUSES §3.

`supplement` names the agreement file; an empty cell there withdraws the record. The other columns say the rest, and one
left out keeps what is known. A record that lacks a signature is kept and is not in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from filterd.agreement.supplement import in_force_from, misbound
from filterd.agreement.terms import Agreement
from filterd.errors import PeerError
from filterd.model.principal import Supplement, Tenant
from filterd.pipeline.import_rows import Row, day, kept, plain, text

NAME = "supplement"
DOCUMENT = "supplement_document"
BY_PROVIDER = "supplement_signed_by_provider"
BY_TENANT = "supplement_signed_by_tenant"
FROM = "supplement_effective_from"
CATEGORIES = "supplement_categories"
WITHDRAWN = "the supplement is withdrawn; what has begun under it runs to its end, and a person lifts what has none"
COLUMNS = (NAME, DOCUMENT, BY_PROVIDER, BY_TENANT, FROM, CATEGORIES)


class WrongCell(PeerError):
    """A column of the record is wrong; `key` says which."""

    def __init__(self, key: str, message: str):
        super().__init__(message)
        self.key = key


def read_supplement(
    row: Row, known: Supplement | None, terms: Mapping[str, Agreement], agreement: str
) -> Supplement | None:
    """Say the record after this row, None for none. Raises WrongCell.

    Args:
        known: the record so far.
        agreement: what binds the tenant after this row.
    """
    key = NAME
    try:
        name = kept(row, NAME, known.agreement if known is not None else None, text)
        if name is None:
            for key in COLUMNS[1:]:
                if row.values.get(key) not in (None, "", []):
                    raise PeerError("there is no supplement that this could be said of")
            return None
        base = known if known is not None and known.agreement == name else Supplement(agreement=name, document="")
        key = CATEGORIES
        categories = _words(row, key) if key in row.values else base.categories
        key = DOCUMENT
        document = kept(row, key, base.document, text)
        if not document:
            raise PeerError("is empty; say where the signed copy is")
        record = replace(base, document=document, categories=categories)
        key = BY_PROVIDER
        record = replace(record, signed_by_provider=kept(row, key, base.signed_by_provider, day))
        key = BY_TENANT
        record = replace(record, signed_by_tenant=kept(row, key, base.signed_by_tenant, day))
        key = FROM
        record = replace(record, effective_from=kept(row, key, base.effective_from, day))
    except PeerError as err:
        raise WrongCell(key, str(err)) from err
    if wrong := misbound(terms, agreement, replace(record, categories=())):
        raise WrongCell(NAME, f"this tenant {wrong}")
    if wrong := misbound(terms, agreement, record):
        raise WrongCell(CATEGORIES, f"this tenant {wrong}")
    return record


def why_not_in_force(tenant: Tenant, terms: Mapping[str, Agreement], at: datetime) -> str | None:
    """Say in words why a tenant's record has no effect at an instant; None when it has, or when there is none."""
    record = tenant.supplement
    if record is None:
        return None
    unsigned = [
        who
        for who, signed in (("provider", record.signed_by_provider), ("tenant", record.signed_by_tenant))
        if signed is None
    ]
    if unsigned:
        return f"recorded, not in force: the signature of the {' and of the '.join(unsigned)} is missing"
    if wrong := misbound(terms, tenant.agreement, record):
        return f"recorded, not in force: this tenant {wrong}"
    begins_at = in_force_from(record, terms[record.agreement])
    if begins_at is not None and at < begins_at:
        return f"recorded, not in force before {record.first_day}"
    return None


def supplement_facts(tenant: Tenant, terms: Mapping[str, Agreement], at: datetime) -> dict[str, Any] | None:
    """Say a tenant's record for a list of tenants, with whether it is in force and why not."""
    if tenant.supplement is None:
        return None
    why_not = why_not_in_force(tenant, terms, at)
    return {**plain(tenant.supplement), "is_in_force": why_not is None, "why_not": why_not}


def _words(row: Row, key: str) -> tuple[str, ...]:
    value = row.values.get(key)
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise PeerError("must be a list of text")
        words = list(value)
    else:
        words = (text(row, key) or "").replace(";", " ").replace(",", " ").split()
    return tuple(dict.fromkeys(words))
