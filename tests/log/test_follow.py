"""Reading on: every event once and in order, whatever rotation, crash or copytruncate does to the files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.log.follow import Follower
from filterd.model.found import StreamPosition
from tests.log.streams import Writer, line


def seqs(follower: Follower, limit: int = 500) -> list[int]:
    batch = follower.read(limit)
    assert not batch.is_cut
    return [event["seq"] for event in batch.events]


def follow(folder: Path, position: StreamPosition | None = None) -> Follower:
    return Follower(folder, "node1.w0", position or StreamPosition())


ACTS = st.lists(
    st.sampled_from(["write", "write many", "torn", "rotate", "pack", "read", "read little", "restart", "renumber"]),
    max_size=40,
)


@given(ACTS)
@settings(deadline=None, max_examples=150)
def test_every_event_is_read_once_and_in_order(tmp_path_factory: pytest.TempPathFactory, acts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("events")
    writer, follower = Writer(folder), follow(folder)
    read: list[int] = []
    for act in acts:
        match act:
            case "write":
                writer.write()
            case "write many":
                writer.write(*({} for _ in range(7)))
            case "torn":
                # As the stream mends it: the next line begins on its own.
                writer.append(b'{"v":1,"event":"x')
                read += seqs(follower)
                writer.append(b"\n")
            case "rotate" | "pack":
                writer.rotate(packs=act == "pack")
            case "read" | "read little":
                read += seqs(follower, 500 if act == "read" else 3)
            case "restart":
                follower.close()
                follower = follow(folder, follower.position)
            case "renumber":
                # The file is copied and packed while it is read: other inodes, the same lines.
                for old in folder.glob("*.jsonl-????"):
                    Path(f"{old}.gz").write_bytes(gzip.compress(old.read_bytes()))
                    os.utime(f"{old}.gz", ns=(old.stat().st_mtime_ns, old.stat().st_mtime_ns))
                    old.unlink()
    while more := seqs(follower):
        read += more
    assert read == list(range(1, writer.seq + 1))
    follower.close()


def test_a_file_is_not_left_before_the_next_has_a_line(tmp_path: Path) -> None:
    writer, follower = Writer(tmp_path), follow(tmp_path)
    writer.write()
    assert seqs(follower) == [1]
    old = writer.path.rename(tmp_path / "node1.w0.jsonl-0001")
    writer.path.touch()
    assert seqs(follower) == []
    # logrotate has made the new file; the writer has not noticed yet.
    with old.open("ab") as file:
        file.write(line("node1.w0", 2))
    writer.seq = 2
    writer.write()
    assert seqs(follower) == [2, 3]


def test_a_line_written_while_we_look_for_the_next_file_is_not_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, follower = Writer(tmp_path), follow(tmp_path)
    writer.write()
    look = follower._next

    def slow_look() -> object:
        # Between our last line and our look: one more event, the rotation, and the first event of the next file.
        monkeypatch.undo()
        writer.write()
        writer.rotate()
        writer.write()
        return look()

    monkeypatch.setattr(follower, "_next", slow_look)
    assert seqs(follower) == [1, 2, 3]


def test_a_line_without_its_end_waits_until_it_has_one_or_its_file_is_over(tmp_path: Path) -> None:
    writer, follower = Writer(tmp_path), follow(tmp_path)
    whole = line("node1.w0", 1)
    writer.append(whole[:-1])
    assert seqs(follower) == []
    writer.append(b"\n")
    assert seqs(follower) == [1]
    writer.append(line("node1.w0", 2)[:-1])
    assert seqs(follower) == []
    writer.rotate()
    writer.append(line("node1.w0", 3))
    assert seqs(follower) == [2, 3]


def test_copytruncate_is_followed_as_far_as_lines_are_left(tmp_path: Path) -> None:
    writer, follower = Writer(tmp_path), follow(tmp_path)
    writer.write({}, {}, {})
    assert seqs(follower, 2) == [1, 2]
    (tmp_path / "node1.w0.jsonl.1").write_bytes(writer.path.read_bytes())
    os.truncate(writer.path, 0)
    writer.write({}, {})
    assert seqs(follower) == [3, 4, 5]


def test_lines_lost_in_a_power_cut_and_written_anew_are_noticed(tmp_path: Path) -> None:
    writer, follower = Writer(tmp_path), follow(tmp_path)
    writer.write(*({"reason": f"before {n}"} for n in range(5)))
    assert seqs(follower) == [1, 2, 3, 4, 5]
    lines = writer.path.read_bytes().splitlines(keepends=True)
    for new in (3, 8):
        # Numbers 4 and on say something else now; there may be fewer or more of them than before.
        fresh = [line("node1.w0", 3 + n, reason="after") for n in range(1, new)]
        writer.path.write_bytes(b"".join(lines[:3] + fresh))
        assert follow(tmp_path, follower.position).read(500).is_cut
        assert [e["seq"] for e in follow(tmp_path).read(500).events] == list(range(1, 3 + new))
    assert follower.read(500).is_cut


def test_numbers_begun_anew_are_noticed(tmp_path: Path) -> None:
    writer, follower = Writer(tmp_path), follow(tmp_path)
    writer.write(*({} for _ in range(9)))
    assert len(seqs(follower)) == 9
    writer.path.unlink()
    writer.append(line("node1.w0", 1, reason="anew"))
    assert follow(tmp_path, follower.position).read(500).is_cut
    assert follow(tmp_path, follower.position).last_seq() == 1


def test_a_packed_file_that_is_broken_is_said_and_passed(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write(*({"reason": os.urandom(300).hex()} for _ in range(50)))
    writer.rotate(packs=True)
    packed = next(tmp_path.glob("*.gz"))
    packed.write_bytes(packed.read_bytes()[:-4000])
    writer.write({})
    said: list[str] = []
    follower = Follower(tmp_path, "node1.w0", StreamPosition(), lambda path: said.append(path.name))
    read = seqs(follower)
    assert (read[0], read[-1]) == (1, 51)
    assert said == [packed.name]
    assert seqs(follower) == []


def test_nothing_is_read_where_nothing_is(tmp_path: Path) -> None:
    assert seqs(follow(tmp_path)) == []
    (tmp_path / "node1.w0.jsonl").touch()
    assert seqs(follow(tmp_path)) == []
    assert seqs(follow(tmp_path, StreamPosition(seq=9, inode=1, offset=5, mark="5:x"))) == []
