"""A crash leaves its seed, and a seed is tried from then on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import runs


def test_the_smallest_octets_that_fail_stay_and_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "SEEDS", tmp_path)

    @runs.commands_in_memory
    @given(st.binary(max_size=40))
    def target(octets: bytes) -> None:
        with runs.seed_left("toy", octets):
            assert len(octets) < 3

    with pytest.raises(AssertionError):
        target()
    (file,) = (tmp_path / "toy").iterdir()
    assert file.read_bytes() == b"\0\0\0"
    assert runs.with_seeds("toy").args[1] == [b"", b"\0\0\0"]


def test_what_does_not_fail_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "SEEDS", tmp_path)
    with runs.seed_left("toy", b"x"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_every_folder_of_seeds_is_some_target() -> None:
    """A seed in a folder that nobody reads would be tried by nobody."""
    texts = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    folders = [folder.name for folder in runs.SEEDS.glob("*")] if runs.SEEDS.is_dir() else []
    assert [name for name in folders if f'with_seeds("{name}")' not in texts] == []
