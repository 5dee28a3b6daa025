"""The master key: made once, refused when it is wrong or open, and one derived key a purpose."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path

import pytest

from filterd.clients.keys import derive, load_keys
from filterd.errors import ModelError

MASTER = bytes(range(32))


def test_a_key_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "state" / "master.key"
    keys = load_keys(file)
    assert load_keys(file) == keys == load_keys(file, may_create=False)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert load_keys(tmp_path / "other") != keys


def test_every_purpose_has_its_own_key() -> None:
    keys = astuple(derive(bytes(32)))
    assert len(set(keys)) == 7
    assert {len(key) for key in keys} == {32}
    assert bytes(32) not in keys


def test_derivation_never_changes() -> None:
    # Every ledger in the world depends on these.
    keys = derive(MASTER)
    assert {name: getattr(keys, name).hex()[:16] for name in type(keys).__slots__} == EXPECTED


EXPECTED = {
    "fingerprint": "d90af3d1f3dcab25",
    "pseudonym": "dee548a2454fb933",
    "chain": "83ebb17746acd137",
    "spool": "b83462602a8354bc",
    "wrap": "2e7ef98e7cfcfd2e",
    "token": "e9363a15a2f3d546",
    "checkpoint": "eec6a0b4b9d65361",
}


@pytest.mark.parametrize("content", [MASTER, MASTER.hex().encode(), MASTER.hex().upper().encode() + b"\r\n"])
def test_raw_and_hex_are_the_same(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    file.chmod(0o600)
    assert load_keys(file) == derive(MASTER)


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33, b"z" * 64, b"0" * 66, b"\n" + b"0" * 64, b"0" * 10_000])
def test_a_wrong_size_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "master.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ModelError, match=r"master\.key"):
        load_keys(file)
    assert file.read_bytes() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601])
def test_an_open_file_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "master.key"
    load_keys(file)
    file.chmod(mode)
    with pytest.raises(ModelError, match=rf"master\.key: mode {mode:04o}"):
        load_keys(file)
    file.chmod(0o400)
    load_keys(file)


def test_a_missing_file_is_refused_where_it_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        load_keys(tmp_path / "master.key", may_create=False)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        load_keys(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be made"):
        load_keys(tmp_path / "file" / "key")


def test_two_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load_keys(tmp_path / "key"), range(8)))
    assert len(set(found)) == 1
