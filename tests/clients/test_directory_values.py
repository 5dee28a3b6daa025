"""What directories hold, in all the spellings they have for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from filterd.clients.directory_values import facts_from, text_of
from filterd.clients.secret import secret_from
from filterd.errors import ConfigError, PortError

DAY = date(2027, 5, 1)


@pytest.mark.parametrize(
    ("value", "day"),
    [
        (DAY, DAY),
        (datetime(2027, 5, 1, 23, 30), DAY),
        (datetime(2027, 5, 2, 1, 0, tzinfo=timezone(timedelta(hours=8))), DAY),
        ("2027-05-01", DAY),
        (b"2027-05-01", DAY),
        ("2027-05-01T12:00:00+00:00", DAY),
        # generalizedTime (RFC 4517 §3.3.13), shadowExpire, time_t, accountExpires of Active Directory.
        (b"20270501120000Z", DAY),
        ("20270501120000.0Z", DAY),
        ("20270501", DAY),
        (b"20939", DAY),
        (1809129600, DAY),
        (str((int(datetime(2027, 5, 1, tzinfo=UTC).timestamp()) + 11_644_473_600) * 10_000_000), DAY),
        (b"0", None),
        (b"-1", None),
        (b"9223372036854775807", None),
        (None, None),
        ("", None),
    ],
)
def test_a_last_day_is_read_in_every_spelling(value: Any, day: date | None) -> None:
    assert facts_from("x", {"expires_on": [value]}).expires_on == day


@pytest.mark.parametrize(
    ("fact", "values", "read"),
    [
        ("login", [b"Ann@B\xc3\xbccher.example"], "ann@xn--bcher-kva.example"),
        ("aliases", [b"SMTP:Ann@A.example", b"smtp:b@a.example", b"X500:/o=x", b"sip:c@a.example"], None),
        ("aliases", ["b@a.example, ANN@a.example;"], ("ann@a.example", "b@a.example")),
        ("aliases", [["b@a.example", None], None], ("b@a.example",)),
        ("send_as", ["Sales@A.example info@a.example"], ("info@a.example", "sales@a.example")),
        ("domains", ["A.example B.example", "a.example"], ("a.example", "b.example")),
        ("seats", [b"12"], 12),
        ("seats", [12], 12),
        ("plan", ["gold", "brass"], "brass"),
        ("external_id", [4711], "4711"),
        ("external_id", [b"\x00\x01\xff"], "0001ff"),
        ("external_id", [b"same", "same"], "same"),
        ("external_id", [], None),
    ],
)
def test_values_are_read_as_their_fact_needs(fact: str, values: list[Any], read: Any) -> None:
    expected = read if read is not None or fact != "aliases" else ("ann@a.example", "b@a.example")
    said = facts_from("x", {fact: values})
    assert getattr(said, fact) == expected
    assert (said.says, said.unreadable) == (frozenset({fact}), ())


@pytest.mark.parametrize(
    ("fact", "value"),
    [("expires_on", "soon"), ("seats", "many"), ("seats", "-3"), ("domains", "localhost"), ("plan", "x" * 1000)],
)
def test_what_cannot_be_read_is_left_out_and_named(fact: str, value: str) -> None:
    said = facts_from("x", {fact: [value], "external_id": ["7"]})
    assert (said.says, said.unreadable, said.external_id) == (frozenset({"external_id"}), (fact,), "7")


@pytest.mark.parametrize(
    ("fact", "values"),
    [
        ("external_id", ["7", "8"]),
        ("tenant_external_id", ["7", "8"]),
        ("login", ["ann@a.example", "bea@a.example"]),
        ("login", ["a\u202eb@a.example"]),
        ("external_id", ["x" * 1000]),
    ],
)
def test_who_somebody_is_must_be_clear(fact: str, values: list[str]) -> None:
    with pytest.raises(PortError, match=fact) as raised:
        facts_from("x", {fact: values})
    # For this login only: the source itself is well.
    assert raised.value.temporary is False
    assert not any(value in str(raised.value) for value in values)


def test_octets_that_are_no_text_are_hex() -> None:
    assert (text_of(b" plain "), text_of(b"\x01\x02"), text_of(memoryview(b"\xff"))) == ("plain", "0102", "ff")


def test_a_password_is_read_anew_each_time_and_stands_in_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("first one\n")
    file.chmod(0o600)
    read = secret_from(file, None, "directory.ldap")
    assert read is not None
    assert read() == "first one"
    file.write_text("second\r\n")
    assert read() == "second"
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=r"directory\.ldap\.password_file.*0644") as raised:
        read()
    assert "second" not in str(raised.value)
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        read()
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        read()
    variable = secret_from(None, "FILTERD_TEST_SECRET", "directory.sql")
    assert variable is not None
    with pytest.raises(ConfigError, match="FILTERD_TEST_SECRET"):
        variable()
    monkeypatch.setenv("FILTERD_TEST_SECRET", "third")
    assert variable() == "third"
    assert secret_from(None, None, "directory.sql") is None
