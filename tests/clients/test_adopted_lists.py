"""Which contents of term lists act: what two people have approved, and never what one person has written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from filterd.clients.adopted_lists import AdoptedLists, TermCopies, Waiting
from filterd.clients.term_lists import TermFolder, TermList, load_terms, read_list
from filterd.errors import ConfigError
from tests.clients.test_term_lists import GOOD, write
from tests.kit.clock import NOON, FrozenClock

EDITED = GOOD.replace("velvet teapot", "marmalade jar")


class Desk:
    """A folder of lists, and what the ledger would say of it."""

    def __init__(self, folder: Path, state: Path):
        self.folder, self.state = folder, state
        self.said: Mapping[str, str] | None = {}
        self.waiting: list[tuple[Waiting, ...]] = []
        self.troubles: list[Exception] = []
        self.clock = FrozenClock(NOON)
        self.copies = TermCopies(state, read_list)

    def open(self) -> AdoptedLists:
        lists = TermFolder(self.folder, self.clock, recheck_s=0.0, on_reading=lambda _: None)
        lists.open()
        return AdoptedLists(
            lists,
            self.copies,
            self._adopted,
            self.clock,
            on_waiting=self.waiting.append,
            on_trouble=self.troubles.append,
        )

    async def _adopted(self) -> Mapping[str, str] | None:
        return self.said

    def approve(self) -> None:
        self.said = {x.id: x.digest for x in load_terms(self.folder, NOON)}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder, state = tmp_path / "lists", tmp_path / "copies"
    folder.mkdir()
    return Desk(folder, state)


async def terms(lists: AdoptedLists) -> list[str]:
    return [term for one in await lists.current() for term in one.terms]


async def test_no_list_no_question(desk: Desk) -> None:
    lists = desk.open()
    assert await lists.current() == ()
    assert desk.waiting == [()]


async def test_what_nobody_approved_is_off_and_said_once(desk: Desk) -> None:
    file = write(desk.folder, GOOD)
    lists = desk.open()
    assert [await lists.current() for _ in range(3)] == [(), (), ()]
    (one,) = load_terms(desk.folder, NOON)
    assert desk.waiting == [(Waiting(id="kites", file=file, digest=one.digest, in_force=None),)]


async def test_what_was_approved_acts_and_is_the_same_tuple_until_something_changes(desk: Desk) -> None:
    write(desk.folder, GOOD)
    lists = desk.open()
    assert await terms(lists) == []
    desk.approve()
    first = await lists.current()
    assert [x.id for x in first] == ["kites"]
    assert await lists.current() is first
    assert desk.waiting[-1] == ()


async def test_one_person_s_edit_leaves_the_approved_version_in_force(desk: Desk) -> None:
    write(desk.folder, GOOD)
    lists = desk.open()
    desk.approve()
    assert "velvet teapot" in await terms(lists)
    write(desk.folder, EDITED)
    assert await terms(lists) == ["蓝色风筝", "velvet teapot"]
    (waiting,) = desk.waiting[-1]
    assert desk.said is not None
    assert waiting.in_force == desk.said["kites"] != waiting.digest
    # Also after a restart, which knows the copy alone.
    assert await terms(desk.open()) == ["蓝色风筝", "velvet teapot"]
    desk.approve()
    assert await terms(lists) == ["蓝色风筝", "marmalade jar"]
    assert desk.waiting[-1] == ()


async def test_an_old_version_does_not_come_back_by_one_hand(desk: Desk) -> None:
    write(desk.folder, GOOD)
    lists = desk.open()
    desk.approve()
    await lists.current()
    write(desk.folder, EDITED)
    desk.approve()
    assert "marmalade jar" in await terms(lists)
    write(desk.folder, GOOD)
    assert "marmalade jar" in await terms(lists)


async def test_without_a_copy_the_list_is_off(desk: Desk) -> None:
    write(desk.folder, GOOD)
    lists = desk.open()
    desk.approve()
    await lists.current()
    (copy,) = desk.state.glob("*.toml")
    copy.unlink()
    write(desk.folder, EDITED)
    assert await terms(lists) == []
    assert [x.in_force for x in desk.waiting[-1]] == [None]


async def test_a_copy_that_was_written_over_is_no_copy(desk: Desk) -> None:
    write(desk.folder, GOOD)
    lists = desk.open()
    desk.approve()
    await lists.current()
    (copy,) = desk.state.glob("*.toml")
    assert copy.stat().st_mode & 0o777 == 0o600
    copy.write_text(EDITED, encoding="utf-8")
    write(desk.folder, EDITED)
    assert await terms(lists) == []


async def test_the_digest_of_one_list_approves_no_other(desk: Desk) -> None:
    write(desk.folder, GOOD)
    desk.approve()
    assert desk.said is not None
    desk.said = {"other": desk.said["kites"]}
    assert await terms(desk.open()) == []


async def test_a_list_that_is_gone_is_off_at_once(desk: Desk) -> None:
    file = write(desk.folder, GOOD)
    lists = desk.open()
    desk.approve()
    await lists.current()
    file.unlink()
    assert await lists.current() == ()


async def test_what_was_taken_back_is_off(desk: Desk) -> None:
    write(desk.folder, GOOD)
    lists = desk.open()
    desk.approve()
    await lists.current()
    desk.said = {}
    assert await lists.current() == ()


async def test_while_nobody_can_be_asked_the_last_word_counts_and_before_it_none(desk: Desk) -> None:
    write(desk.folder, GOOD)
    desk.said = None
    lists = desk.open()
    assert await lists.current() == ()
    assert desk.waiting == []
    desk.approve()
    found = await lists.current()
    assert found
    desk.said = None
    write(desk.folder, EDITED)
    assert await lists.current() is found


async def test_a_copy_past_its_end_does_not_act(desk: Desk) -> None:
    write(desk.folder, GOOD)
    lists = desk.open()
    desk.approve()
    await lists.current()
    desk.clock.set(datetime.fromisoformat("2027-03-02T00:00:00+00:00"))
    write(desk.folder, EDITED.replace("2027-03-01", "2027-06-01"))
    assert await terms(lists) == []


async def test_a_copy_that_cannot_be_kept_is_said_and_the_list_acts(desk: Desk) -> None:
    write(desk.folder, GOOD)
    desk.state.write_text("in the way")
    lists = desk.open()
    desk.approve()
    assert "velvet teapot" in await terms(lists)
    assert len(desk.troubles) == 1


def test_what_has_changed_since_it_was_read_is_not_kept(desk: Desk) -> None:
    file = write(desk.folder, GOOD)
    one: TermList = read_list(file, NOON)
    write(desk.folder, EDITED)
    with pytest.raises(ConfigError, match="has changed while it was read"):
        desk.copies.keep(one)
    assert not desk.state.exists()


def test_copies_no_list_can_want_any_more_go(desk: Desk) -> None:
    write(desk.folder, GOOD)
    (one,) = load_terms(desk.folder, NOON)
    desk.copies.keep(one)
    (copy,) = desk.state.glob("*.toml")
    for days, is_there in ((179, True), (181, False)):
        stamp = (desk.clock.now() - timedelta(days=days)).timestamp()
        os.utime(copy, (stamp, stamp))
        desk.copies.clear(desk.clock)
        assert copy.exists() == is_there
