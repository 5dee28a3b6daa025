"""Records and nouns as canonical bytes: one form, read back equal, never refused for their content."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.errors import UsageError
from filterd.ledger.codec import (
    Undecodable,
    decode,
    decode_record,
    encode,
    encode_record,
    instant,
    instant_text,
    storable,
)
from filterd.model.decision import Case, Counts, Decision, MailFacts
from filterd.model.principal import NOBODY
from filterd.model.records import KINDS, PersonAdded, Record
from filterd.model.sanction import Rung
from filterd.model.session import Direction, Path
from filterd.model.standing import History
from filterd.model.verdict import Assessment, Outcome, Verdict
from tests.ledger.rig import AT, fold, incident, sanction, strike

pytestmark = pytest.mark.slow

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-3, minutes=-30))])
INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=ZONES)
# Everything a str can hold, lone surrogates and NUL with it.
TEXTS = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x00\udcff\ud800\u2028"), max_size=12)

PLAIN = {
    str: TEXTS,
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    datetime: INSTANTS,
    date: st.dates(date(1970, 1, 2), date(2200, 1, 1)),
    type(None): st.none(),
}


def nouns(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field type, or any noun. `st.from_type` would need strategies registered for everybody."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{field.name: nouns(hints[field.name]) for field in dataclasses.fields(kind)})
    if get_origin(kind) is tuple:
        first, *rest = get_args(kind)
        if rest == [...]:
            return st.lists(nouns(first), max_size=3).map(tuple)
        return st.tuples(*map(nouns, (first, *rest)))
    assert get_origin(kind) is UnionType, kind
    return st.one_of([nouns(one) for one in get_args(kind)])


RECORDS = st.one_of([nouns(kind) for kind in KINDS.values()])


@settings(deadline=None)
@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    kind, body, as_read = encode_record(record)
    assert decode_record(kind, body) == as_read
    assert encode_record(as_read)[1] == body
    body.decode("utf-8")


@settings(deadline=None)
@given(nouns(PersonAdded))
def test_only_surrogates_change(record: PersonAdded) -> None:
    as_read = encode_record(record)[2]
    has_surrogates = any(0xD800 <= ord(c) <= 0xDFFF for c in record.person + record.role + record.by)
    assert (as_read == record) is not has_surrogates


def test_the_form_is_canonical() -> None:
    at = datetime(2026, 1, 2, 11, 4, 5, tzinfo=timezone(timedelta(hours=8)))
    kind, body, _ = encode_record(PersonAdded(at=at, person="Ä\udce9\x00", role="moderator", by="system"))
    assert kind == "person.added"
    expected = (
        '{"account_id":null,"at":"2026-01-02T03:04:05.000000Z","by":"system","needs_second":false'
        ',"person":"Ä\\\\xe9\\u0000","role":"moderator","scope":null,"second_from":null}'
    )
    assert body == expected.encode()


def test_enums_go_by_value_and_sets_are_sorted() -> None:
    tree = {"rung": Rung.SUSPEND, "direction": Direction.INBOUND, "some": frozenset({Rung.WARN, Rung.NONE})}
    assert encode(tree) == b'{"direction":"inbound","rung":3,"some":[0,1]}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 0.1, 1e300])
def test_any_float_survives(number: float) -> None:
    read = decode(Counts, encode(Counts(baseline_recipients_day=number))).baseline_recipients_day
    assert read == number or (math.isnan(read) and math.isnan(number))


def test_nouns_of_the_link_survive() -> None:
    history = History(account_id="a_1")
    for record in (incident("a_1"), strike("a_1"), sanction("a_1")):
        history = fold(history, record, "a_1")
    case = Case(
        transaction_id="t_1",
        at=AT,
        direction=Direction.OUTBOUND,
        principal=NOBODY,
        evidence_key="e",
        delivery_keys=("k",),
        text_fp="f",
        facts=MailFacts(recipients=1, external_recipients=1, has_attachments=False, has_links=True),
        assessment=Assessment(
            verdicts=(Verdict(check="spam", version="1", outcome=Outcome.FOUND, scores=(("spam", 0.5),)),)
        ),
        policy_digest="p",
    )
    path = Path(raw=b"\xff\x00@x", local_part="\\xff", domain="x")
    for noun in (history, case, path):
        assert decode(type(noun), encode(noun)) == noun
    assert decode(Decision | None, b"null") is None


def test_rows_of_another_version_still_read() -> None:
    body = b'{"at":"2026-01-01T00:00:00.000000Z","by":"x","person":"p","role":"r","added_later":1}'
    assert decode_record("person.added", body) == PersonAdded(
        at=datetime(2026, 1, 1, tzinfo=UTC), person="p", role="r", by="x"
    )


def test_what_does_not_fit_is_named_without_its_content() -> None:
    with pytest.raises(Undecodable, match="role: string_type") as caught:
        decode_record("person.added", b'{"at":"2026-01-01T00:00:00.000000Z","by":"x","person":"secret","role":7}')
    assert "secret" not in str(caught.value)
    with pytest.raises(Undecodable, match="unknown kind"):
        decode_record("nonsense", b"{}")
    with pytest.raises(UsageError, match="zone"):
        encode(dataclasses.replace(incident("a"), at=AT.replace(tzinfo=None)))
    with pytest.raises(UsageError, match="object has no JSON form"):
        encode({"x": object()})
    with pytest.raises(UsageError):
        encode({"x": 2**70})


@settings(deadline=None)
@given(INSTANTS)
def test_instants_sort_as_text(at: datetime) -> None:
    assert instant(instant_text(at)) == at
    assert (instant_text(at) < instant_text(AT)) is (at < AT)


@pytest.mark.parametrize("text", ["", "2026-01-01", "2026-01-01T00:00:00Z", "2026-13-01T00:00:00.000000Z"])
def test_only_our_own_form_of_an_instant_is_read(text: str) -> None:
    with pytest.raises(Undecodable):
        instant(text)


def test_column_text_holds_neither_nul_nor_surrogates() -> None:
    assert storable("a\x00\udcff\ud800ü") == "a\\x00\\xff\\ud800ü"
