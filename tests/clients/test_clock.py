"""Clocks: the settable one runs on from where it was set, for everybody who looks at the file."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from filterd.clients.clock import SettableClock, SystemClock, set_clock, unset_clock
from filterd.errors import ConfigError
from filterd.ports import Clock

PAST = datetime(2020, 2, 29, 23, 59, 58, 123456, tzinfo=UTC)


def is_the_systems(clock: Clock) -> bool:
    """Whether the clock says a time between two looks at the system's."""
    before = datetime.now(UTC)
    said = clock.now()
    return before <= said <= datetime.now(UTC)


def test_the_system_clock_is_aware() -> None:
    assert SystemClock().now().tzinfo is UTC
    assert is_the_systems(SystemClock())


def test_unset_it_is_the_system_clock(tmp_path: Path) -> None:
    assert is_the_systems(SettableClock(tmp_path / "clock"))


@pytest.mark.parametrize("to", [PAST, datetime(2031, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))])
def test_it_runs_on_from_what_it_was_set_to(tmp_path: Path, to: datetime) -> None:
    file = tmp_path / "state" / "clock"
    early = SettableClock(file)
    early.now()
    before = datetime.now(UTC)
    set_clock(file, to)
    first = early.now()
    # Another process, or the same after a restart.
    second = SettableClock(file).now()
    has_run = datetime.now(UTC) - before
    assert to <= first <= second <= to + has_run
    assert first.tzinfo is UTC
    assert early.now() > first
    assert list(file.parent.iterdir()) == [file]


def test_setting_again_and_unsetting(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = SettableClock(file)
    for year in (2030, 2025, 2040):
        set_clock(file, datetime(year, 1, 1, tzinfo=UTC))
        assert clock.now().year == year
    unset_clock(file)
    unset_clock(file)
    assert is_the_systems(clock)


@pytest.mark.parametrize(
    "content", [b"", b"tomorrow", b"2026-01-01T00:00:00Z", b"2026-01-01 2026-01-01T00:00:00Z", b"\xff"]
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "clock"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{file}: holds something else"):
        SettableClock(file).now()


def test_an_instant_needs_a_zone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="zone"):
        set_clock(tmp_path / "clock", datetime(2026, 1, 1))
    with pytest.raises(ConfigError, match="cannot be written"):
        set_clock(Path(os.devnull) / "clock", PAST)
