"""Lists on disk: what is refused and where, when they end, and what a change does."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from filterd.clients.term_lists import Reading, TermFolder, load_terms
from filterd.errors import ConfigError
from tests.kit.clock import NOON, FrozenClock

GOOD = """\
id = "kites"
label = "gambling"
languages = ["zh", "en"]
legal_basis = "House rule 12 of 2026-05-01"
expires_at = 2027-03-01
terms = [
    "蓝色风筝",
    "velvet teapot",
]
patterns = ['teapots? [0-9]+']
"""


def write(folder: Path, text: str, name: str = "kites.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    # A second write within the clock's grain must be seen too.
    stamp = file.stat().st_mtime_ns + 1_000_000 * len(text)
    os.utime(file, ns=(stamp, stamp))
    return file


def test_a_list_is_read(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "notes.txt").write_text("no list")
    (one,) = load_terms(tmp_path, NOON)
    assert (one.id, one.label, one.terms, one.patterns) == (
        "kites",
        "gambling",
        ("蓝色风筝", "velvet teapot"),
        ("teapots? [0-9]+",),
    )
    assert (one.expires_at, one.confidence, one.at_least) == (datetime(2027, 3, 1, tzinfo=UTC), 0.5, 1)
    assert len(one.digest) == 64


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "says"),
    [
        ('"gambling"', '"political"', 2, "label", "locked_folder"),
        ('"gambling"', '"Religion"', 2, "label", "locked_folder"),
        ('"gambling"', '"rep.defamation"', 2, "label", "locked_folder"),
        ('"gambling"', '"kites"', 2, "label", "is no label"),
        ('legal_basis = "House rule 12 of 2026-05-01"\n', "", None, "legal_basis", "required"),
        ("2027-03-01", "2027-06-01", 5, "expires_at", "180 days"),
        ("2027-03-01", "2027-03-01T00:00:00", 5, "expires_at", "offset"),
        ('"velvet teapot"', '"风"', 8, "terms", "entry 2: too short"),
        ('"velvet teapot"', '"!!!!"', 8, "terms", "entry 2: too short"),
        ('"velvet teapot"', '"t\u200be"', 8, "terms", "entry 2: too short"),
        ('"velvet teapot"', '"a\\nb word"', 6, "terms", "entry 2: has a line break"),
        ("teapots? [0-9]+", "(teapot", 10, "patterns", "entry 1: is no pattern"),
        ("teapots? [0-9]+", "(?=teapot)x", 10, "patterns", "entry 1: is no pattern"),
        ("teapots? [0-9]+", "x*", 10, "patterns", "every mail"),
        ("languages", "language", 3, "language", "unknown key"),
        ('id = "kites"', 'id = "Kites!"', 1, "id", "pattern"),
        ("patterns", "confidence = 2\npatterns", 10, "confidence", "less than or equal to 1"),
        ("patterns", "patterns = [\n#", 10, None, ""),
    ],
)
def test_what_is_refused(tmp_path: Path, old: str, new: str, line: int | None, key: str | None, says: str) -> None:
    assert old in GOOD
    file = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_terms(tmp_path, NOON)
    err = caught.value
    assert err.file == str(file)
    if key is not None:
        assert (err.line, err.key) == (line, key)
    assert says in str(err)
    assert "teapot" not in str(err).replace(str(tmp_path), "")


def test_the_example_for_operators_loads(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "ops/docs/TERM-LISTS.md"
    example = page.read_text(encoding="utf-8").split("```toml\n")[2].partition("```")[0]
    write(tmp_path, example)
    (one,) = load_terms(tmp_path, NOON)
    assert (one.at_least, one.confidence, len(one.terms), len(one.patterns)) == (2, 0.6, 3, 1)


def test_a_list_without_entries_is_refused(tmp_path: Path) -> None:
    write(tmp_path, GOOD.partition("terms")[0])
    with pytest.raises(ConfigError, match="neither terms nor patterns"):
        load_terms(tmp_path, NOON)


def test_two_lists_with_one_id_are_refused(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, "other.toml")
    with pytest.raises(ConfigError, match=r"other\.toml.*id.*kites"):
        load_terms(tmp_path, NOON)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_terms(tmp_path / "absent", NOON)


def folder_of(tmp_path: Path, clock: FrozenClock) -> tuple[TermFolder, list[Reading]]:
    heard: list[Reading] = []
    return TermFolder(tmp_path, clock, recheck_s=0, on_reading=heard.append), heard


async def test_the_same_tuple_until_a_file_changes(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    lists, heard = folder_of(tmp_path, FrozenClock())
    lists.open()
    first = await lists.current()
    assert await lists.current() is first
    write(tmp_path, GOOD.replace("velvet", "woollen"))
    second = await lists.current()
    assert second[0].terms[1] == "woollen teapot"
    assert heard == [Reading(in_force=("kites",))] * 2


async def test_a_faulty_change_keeps_what_was_and_is_said_once(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    lists, heard = folder_of(tmp_path, FrozenClock())
    lists.open()
    first = await lists.current()
    # Longer, too: two writes within one tick of the file system's clock have one time.
    write(tmp_path, GOOD.replace("gambling", "politics") + "\n")
    assert await lists.current() is first
    assert await lists.current() is first
    assert [reading.error is not None for reading in heard] == [False, True]
    assert "kites.toml:2: label" in (heard[1].error or "")


async def test_an_expired_list_is_off_and_said_once(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    clock = FrozenClock(datetime(2027, 3, 1, tzinfo=UTC))
    lists, heard = folder_of(tmp_path, clock)
    lists.open()
    assert (await lists.current(), await lists.current()) == ((), ())
    assert heard == [Reading(in_force=(), expired=("kites",))]


async def test_a_folder_that_vanishes_keeps_the_lists(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    lists, heard = folder_of(tmp_path, FrozenClock())
    lists.open()
    file.unlink()
    tmp_path.rmdir()
    assert len(await lists.current()) == 1
    assert [reading.error is not None for reading in heard] == [False, True]


def test_nothing_starts_on_a_faulty_list(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("gambling", "kites"))
    lists, heard = folder_of(tmp_path, FrozenClock())
    with pytest.raises(ConfigError):
        lists.open()
    assert heard == []
