"""Checkpoints elsewhere: copies that catch up, a command that may fail or hang, and never a commit that waits."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from filterd.ledger import elsewhere
from filterd.ledger.anchor import AnchorFile, read_file
from filterd.ledger.chain import Head
from filterd.ledger.elsewhere import Command, CopyFile, Elsewhere, places_of
from tests.kit.clock import NOON
from tests.kit.waiting import PATIENCE_S, wait_until
from tests.ledger.rig import KEYS

pytestmark = pytest.mark.slow

WRITER = "node1.ledger"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "_PAUSE_S", 0.01)
    monkeypatch.setattr(elsewhere, "_AFTER_FAILURE_S", 0.02)
    monkeypatch.setattr(elsewhere, "_CLOSE_WITHIN_S", PATIENCE_S)
    monkeypatch.setattr(elsewhere.Command.__init__, "__defaults__", (PATIENCE_S,))


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.anchor"


Opener = Callable[..., tuple[AnchorFile, Elsewhere]]


@pytest.fixture
def opened(local: Path) -> Iterator[Opener]:
    """Open an anchor file with places; closed afterwards."""
    files: list[AnchorFile] = []

    def open_it(*copies: Path, command: tuple[str, ...] = ()) -> tuple[AnchorFile, Elsewhere]:
        local.parent.mkdir(exist_ok=True)
        carried = Elsewhere(local, places_of(local.parent, copies, command))
        file = AnchorFile(local, KEYS, carried)
        file.mend()
        files.append(file)
        return file, carried

    yield open_it
    for file in files:
        file.close()


def add(file: AnchorFile, *seqs: int) -> None:
    for seq in seqs:
        file.append(WRITER, Head(seq=seq, row_hash=bytes([seq]) * 32), NOON)


def same(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()


# --- copies -------------------------------------------------------------------------------------------------------


def test_copies_are_the_file_octet_for_octet(opened: Opener, local: Path, tmp_path: Path) -> None:
    copies = [tmp_path / "a", tmp_path / "b"]
    file, _ = opened(*copies)
    add(file, 1, 2, 3)
    for copy in copies:
        wait_until(lambda copy=copy: same(copy, local))
        assert copy.stat().st_mode & 0o777 == 0o600
        assert read_file(copy, file.trust).wrong is None


def test_a_copy_that_was_away_gets_what_it_missed(opened: Opener, local: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    file, carried = opened(volume / "anchor")
    add(file, 1, 2)
    wait_until(lambda: carried.failures[str(volume / "anchor")] >= 2)
    assert carried.failing == (str(volume / "anchor"),)
    # No directory is made where a volume should be.
    assert not volume.exists()
    volume.mkdir()
    wait_until(lambda: same(volume / "anchor", local))
    wait_until(lambda: carried.failing == ())
    file.close()
    # A later start, and half a line that a crash left there.
    octets = (volume / "anchor").read_bytes()
    (volume / "anchor").write_bytes(octets[:-100])
    file, _ = opened(volume / "anchor")
    add(file, 3)
    wait_until(lambda: same(volume / "anchor", local))


def test_a_copy_that_knows_more_is_left_as_it_is(
    opened: Opener, local: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "copy"
    file, _ = opened(copy)
    add(file, 1, 2, 3)
    file.close()
    known = copy.read_bytes()
    # Somebody cuts the file, and the ledger goes on.
    local.write_bytes(b"".join(local.read_bytes().splitlines(keepends=True)[:1]))
    file, carried = opened(copy)
    with caplog.at_level(logging.ERROR):
        add(file, 4)
        wait_until(lambda: carried.failing == (str(copy),))
    assert copy.read_bytes() == known
    assert f"{copy}: is no beginning of {local}: keep both, and run verify with both" in caplog.text
    assert [item.seq for item in read_file(copy, file.trust).checkpoints] == [1, 2, 3]


def test_a_changed_copy_is_left_as_it_is(opened: Opener, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(b"somebody else's\n")
    file, carried = opened(copy)
    add(file, 1)
    wait_until(lambda: carried.failing == (str(copy),))
    assert copy.read_bytes() == b"somebody else's\n"


def test_half_a_line_is_not_carried(opened: Opener, local: Path, tmp_path: Path) -> None:
    file, _ = opened()
    add(file, 1)
    whole = local.read_bytes()
    local.write_bytes(whole + whole[:50])
    copy = CopyFile(tmp_path / "copy")
    assert copy.carry(local, local.stat().st_size)
    assert not copy.carry(local, local.stat().st_size)
    assert (tmp_path / "copy").read_bytes() == whole


# --- a command ----------------------------------------------------------------------------------------------------


def command(tmp_path: Path, body: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import os, sys, time\nwitness = {str(tmp_path / 'witness')!r}\n{body}")


APPEND = "open(witness, 'ab').write(sys.stdin.buffer.read())"


def test_a_command_gets_each_line_once_and_in_order(opened: Opener, local: Path, tmp_path: Path) -> None:
    file, _ = opened(command=command(tmp_path, APPEND))
    add(file, 1, 2)
    wait_until(lambda: same(tmp_path / "witness", local))
    file.close()
    file, _ = opened(command=command(tmp_path, APPEND))
    add(file, 3)
    wait_until(lambda: same(tmp_path / "witness", local))


def test_a_command_that_fails_gets_the_lines_again(
    opened: Opener, local: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = f"os.path.exists({str(tmp_path / 'well')!r}) or sys.exit(7)\n{APPEND}"
    with caplog.at_level(logging.WARNING):
        file, carried = opened(command=command(tmp_path, body))
        add(file, 1)
        wait_until(lambda: carried.failures[sys.executable] >= 3)
        add(file, 2)
        (tmp_path / "well").touch()
        wait_until(lambda: same(tmp_path / "witness", local))
        wait_until(lambda: carried.failing == ())
    # Said when it begins and when it ends, not each time.
    assert [record.getMessage() for record in caplog.records if "reach" in record.getMessage()] == [
        f"checkpoints do not reach {sys.executable}: exit status 7",
        f"checkpoints reach {sys.executable} again, after {carried.failures[sys.executable]} failures",
    ]


def test_a_lost_note_only_repeats_lines(opened: Opener, local: Path, tmp_path: Path) -> None:
    file, _ = opened(command=command(tmp_path, APPEND))
    add(file, 1, 2)
    file.close()
    (local.parent / "ledger.anchor.sent").unlink()
    file, _ = opened(command=command(tmp_path, APPEND))
    add(file, 3)
    wait_until(lambda: (tmp_path / "witness").read_bytes().count(b"\n") == 5)
    found = read_file(tmp_path / "witness", file.trust)
    assert (found.wrong, [item.seq for item in found.checkpoints]) == (None, [1, 2, 3])


def test_a_command_that_hangs_is_ended_and_another_place_goes_on(
    opened: Opener, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere.Command.__init__, "__defaults__", (0.3,))
    file, carried = opened(tmp_path / "copy", command=command(tmp_path, "time.sleep(3600)"))
    add(file, 1)
    wait_until(lambda: same(tmp_path / "copy", local))
    add(file, 2, 3, 4)
    wait_until(lambda: carried.failing == (sys.executable,))


def test_who_adds_does_not_wait_for_a_command_that_hangs(
    opened: Opener, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere.Command.__init__, "__defaults__", (3600,))
    hang = "os.path.exists(witness) and sys.exit()\nopen(witness, 'w').write(f'{os.getpid()}.')\ntime.sleep(3600)"
    file, carried = opened(tmp_path / "copy", command=command(tmp_path, hang))
    add(file, 1)
    witness = tmp_path / "witness"
    wait_until(lambda: witness.exists() and witness.read_text().endswith("."))
    try:
        add(file, 2, 3, 4)
        wait_until(lambda: same(tmp_path / "copy", local))
        assert carried.failing == ()
    finally:
        os.kill(int(witness.read_text().removesuffix(".")), signal.SIGKILL)
    wait_until(lambda: (local.parent / "ledger.anchor.sent").exists())


def test_a_hook_gets_no_key_from_the_environment(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILTERD_MASTER", "0" * 64)
    file, _ = opened(command=command(tmp_path, "open(witness, 'w').write(' '.join(os.environ))"))
    add(file, 1)
    wait_until(lambda: (tmp_path / "witness").exists() and bool((tmp_path / "witness").read_text()))
    assert "PATH" in (tmp_path / "witness").read_text()
    assert "FILTERD" not in (tmp_path / "witness").read_text()


def test_a_command_that_is_not_there_is_said(opened: Opener) -> None:
    file, carried = opened(command=("/nonexistent/witness",))
    add(file, 1)
    wait_until(lambda: carried.failing == ("/nonexistent/witness",))


def test_a_file_moved_aside_begins_again(opened: Opener, local: Path, tmp_path: Path) -> None:
    file, _ = opened()
    add(file, 1, 2, 3)
    witness = Command(command(tmp_path, APPEND), local.parent / "sent")
    assert witness.carry(local, local.stat().st_size)
    shutil.move(local, tmp_path / "old")
    (tmp_path / "witness").unlink()
    file, _ = opened()
    add(file, 4)
    assert witness.carry(local, local.stat().st_size)
    assert same(tmp_path / "witness", local)


def test_nothing_goes_elsewhere_before_it_is_on_our_disk(
    opened: Opener, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    real_sync, real_carry = elsewhere.sync, CopyFile.carry
    monkeypatch.setattr(elsewhere, "sync", lambda path: (order.append("sync"), real_sync(path)))
    monkeypatch.setattr(CopyFile, "carry", lambda *a: (order.append("carry"), real_carry(*a))[1])
    file, _ = opened(tmp_path / "copy")
    add(file, 1)
    wait_until(lambda: same(tmp_path / "copy", local))
    assert order[:2] == ["sync", "carry"]


def test_the_end_carries_the_rest(opened: Opener, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "_PAUSE_S", 3600.0)
    file, _ = opened(tmp_path / "copy")
    add(file, 1)
    wait_until(lambda: same(tmp_path / "copy", local))
    # In the pause after the first.
    add(file, 2, 3)
    file.close()
    assert same(tmp_path / "copy", local)
