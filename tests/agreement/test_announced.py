"""Which versions were customers told of?  TX-4.1.4."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from filterd.agreement.announced import older_told, unannounced
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import in_force, shelved
from filterd.model import records as r
from filterd.model.standing import History
from tests.agreement.contract import shipped

DAY = timedelta(days=1)
# Midnight in Shanghai: the day on which the second version begins, at eight in the morning.
MAY_1 = datetime(2026, 4, 30, 16, tzinfo=UTC)
SECOND = MAY_1 + timedelta(hours=8)
THIRD = MAY_1 + 60 * DAY
BEGAN = MAY_1 - 400 * DAY
TENANT = "n_1"


def version(name: str, since: datetime, **more: object) -> Agreement:
    return shipped().model_copy(update={"version": name, "effective_from": since, "digest": name, **more})


def shelf(*items: Agreement) -> Agreement:
    return shelved(items, THIRD)[shipped().id]


HEAD = shelf(version("1", BEGAN), version("2", SECOND), version("3", THIRD))


def told(
    on: datetime, what: str = "terms", tenant_id: str | None = None, agreement: str | None = None
) -> r.ChangeAnnounced:
    row = r.ChangeAnnounced(
        at=BEGAN, change_id="ch_1", what=what, tenant_id=tenant_id, effective_at=on, document="d", by="dana"
    )
    # An old row names none.
    return row if agreement is None else replace(row, agreement=agreement)


def site(*rows: r.ChangeAnnounced) -> History:
    return History(account_id="site", further=rows)


def older(at: datetime, *rows: r.ChangeAnnounced, since: datetime | None = BEGAN) -> str | None:
    found = older_told(HEAD, in_force(HEAD, at), site(*rows), at, tenant_id=TENANT, since=since)
    return found.version if found is not None else None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((), "1"),
        ((told(MAY_1),), None),
        ((told(MAY_1, tenant_id=TENANT),), None),
        ((told(MAY_1, tenant_id="n_other"),), "1"),
        # A price is no new text, and the day before it begins is another version's.
        ((told(MAY_1, what="price"),), "1"),
        ((told(MAY_1 - DAY),), "1"),
        # Nor are another agreement's terms this one's.
        ((told(MAY_1, agreement="another"),), "1"),
        ((told(MAY_1, agreement=shipped().id),), None),
    ],
)
def test_a_version_nobody_was_told_of_does_not_stand_alone(
    rows: tuple[r.ChangeAnnounced, ...], expected: str | None
) -> None:
    assert older(SECOND + DAY, *rows) == expected
    # Before it begins nothing has changed.
    assert older(SECOND - DAY, *rows) is None


def test_told_late_it_stands_alone_from_the_day_that_was_named() -> None:
    late = told(MAY_1 + 9 * DAY)
    assert [older(MAY_1 + days * DAY, late) for days in (1, 8.9, 9, 50)] == ["1", "1", None, None]


def test_of_several_the_last_one_that_was_told_counts() -> None:
    at = THIRD + DAY
    assert older(at) == "1"
    assert older(at, told(MAY_1)) == "2"
    # What was announced of the one, however late, announces no other.
    assert older(at, told(THIRD - DAY)) == "2"
    assert older(at, told(THIRD)) is None


def test_whoever_came_later_came_under_what_was_in_force() -> None:
    assert older(SECOND + DAY, since=SECOND + timedelta(hours=1)) is None
    assert older(SECOND + DAY, since=SECOND - timedelta(hours=1)) == "1"
    assert older(SECOND + DAY, since=None) == "1"
    assert older(THIRD + DAY, since=SECOND + DAY) == "2"


def test_a_supplement_is_signed_and_an_only_version_replaces_nothing() -> None:
    both = shelf(version("1", BEGAN, supplements="x"), version("2", SECOND, supplements="x"))
    at = SECOND + DAY
    assert older_told(both, in_force(both, at), site(), at, tenant_id=TENANT, since=BEGAN) is None
    assert unannounced(both, site(), at, began_at=BEGAN) == ()
    only = version("1", BEGAN)
    assert older_told(only, only, site(), at, tenant_id=TENANT, since=BEGAN) is None
    assert unannounced(only, site(), at, began_at=BEGAN) == ()


def test_what_is_not_announced_is_said_before_it_begins_and_after() -> None:
    def said(at: datetime, *rows: r.ChangeAnnounced, began_at: datetime | None = BEGAN) -> list[str]:
        return [x.version for x in unannounced(HEAD, site(*rows), at, began_at=began_at)]

    assert said(SECOND - 30 * DAY) == ["2", "3"]
    assert said(SECOND - 30 * DAY, told(MAY_1)) == ["3"]
    # One customer is not all of them.
    assert said(SECOND - 30 * DAY, told(MAY_1, tenant_id=TENANT)) == ["2", "3"]
    assert said(SECOND - 30 * DAY, told(MAY_1 + DAY)) == ["2", "3"]
    assert said(MAY_1 + DAY, told(MAY_1 + DAY)) == ["3"]
    # What was in force when this record began was told elsewhere.
    assert said(THIRD + DAY, began_at=SECOND + DAY) == ["3"]
    assert said(THIRD + DAY, began_at=None) == ["2", "3"]
