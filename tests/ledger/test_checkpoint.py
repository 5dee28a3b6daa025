"""The line of a checkpoint, and the file of them: signed, linked, whole, and read by whoever has the public key."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from filterd.clients.keys import derive
from filterd.ledger import checkpoint
from filterd.ledger.anchor import EVERY_S, AnchorFile, read_file, read_files
from filterd.ledger.chain import Head
from filterd.ledger.checkpoint import FIRST, Checkpoint, Signer, Trust, digest, key_id, trust_of
from filterd.ledger.codec import canonical
from filterd.ledger.seal import derived_key
from tests.kit.clock import NOON
from tests.kit.waiting import wait_until
from tests.ledger.rig import KEYS, incident, open_engine

pytestmark = pytest.mark.slow

TRUST = trust_of(KEYS)
WITHOUT_MASTER = Trust(public_key=TRUST.public_key)
WRITER = "node1.ledger"


def head(seq: int) -> Head:
    return Head(seq=seq, row_hash=bytes([seq]) * 32)


def lines_of(number: int) -> list[bytes]:
    """Say that many linked lines."""
    signer, prev, lines = Signer(KEYS.checkpoint), FIRST, []
    for seq in range(1, number + 1):
        lines.append(signer.line(WRITER, head(seq), NOON + timedelta(minutes=seq), prev))
        prev = digest(lines[-1])
    return lines


def line_of_before(seq: int) -> bytes:
    """Say a line as programs before this one wrote it."""
    tree = {"at": "2026-11-02T12:00:00.000000Z", "row_hash": head(seq).row_hash.hex(), "seq": seq, "writer": WRITER}
    mac = hmac.new(derived_key(KEYS.chain, "anchor"), canonical(tree), hashlib.sha256).hexdigest()
    return canonical({**tree, "mac": mac}) + b"\n"


@pytest.fixture
def file(tmp_path: Path) -> AnchorFile:
    return AnchorFile(tmp_path / "ledger.anchor", KEYS)


# Every anchor in the world depends on it: seed, key, signature and form.
LINE = (
    b'{"at":"2026-11-02T12:01:00.000000Z","key":"d51c775777faf777","prev":"'
    + b"0" * 64
    + b'","row_hash":"'
    + b"01" * 32
    + b'",'
    b'"seq":1,"sig":"aa955d701bd7a72808fd02b44bf51a8637b764f5e3b3563ab768ad3bb3ad263a'
    b'37bf24fdbb7574df55c1b9a689a9474e7bd10947b659d9879459f5af3a717c09","v":2,"writer":"node1.ledger"}\n'
)


def test_the_form_never_changes() -> None:
    assert TRUST.public_key.hex()[:16] == "8c4b8073e4df50ad"
    (line,) = lines_of(1)
    assert line == LINE


def test_the_signature_is_plain_ed25519_over_the_line_without_it() -> None:
    tree = json.loads(lines_of(1)[0])
    signature = bytes.fromhex(tree.pop("sig"))
    signed = b"filterd checkpoint\n" + json.dumps(tree, separators=(",", ":"), sort_keys=True).encode()
    Ed25519PublicKey.from_public_bytes(TRUST.public_key).verify(signature, signed)
    assert tree["key"] == hashlib.sha256(TRUST.public_key).hexdigest()[:16]


@pytest.mark.parametrize("trust", [TRUST, WITHOUT_MASTER])
def test_whole_lines_are_read(trust: Trust) -> None:
    found = checkpoint.read(lines_of(4), trust, "f")
    assert (found.wrong, found.unproven) == (None, 0)
    assert [item.seq for item in found.checkpoints] == [1, 2, 3, 4]
    at = "2026-11-02T12:01:00.000000Z"
    assert found.checkpoints[0] == Checkpoint(writer=WRITER, seq=1, row_hash=b"\x01" * 32, at=at)


def test_every_bit_of_a_line_counts() -> None:
    lines = lines_of(3)
    for number, line in enumerate(lines):
        for position in range(len(line) - 1):
            # All bits of the second line, and one of each octet of the others.
            for bit in range(8) if number == 1 else (position % 8,):
                changed = bytearray(line)
                changed[position] ^= 1 << bit
                found = checkpoint.read([*lines[:number], bytes(changed), *lines[number + 1 :]], WITHOUT_MASTER, "f")
                assert found.wrong is not None
                assert found.wrong.startswith(f"f:{number + 1}: ")
                assert len(found.checkpoints) == number


def test_a_line_cut_out_shows_and_the_last_ones_do_not() -> None:
    lines = lines_of(5)
    for gone in range(4):
        found = checkpoint.read([*lines[:gone], *lines[gone + 1 :]], WITHOUT_MASTER, "f")
        assert found.wrong == f"f:{gone + 1}: lines before it are missing"
    # Only a copy kept elsewhere knows that there was one more.
    assert checkpoint.read(lines[:4], WITHOUT_MASTER, "f").wrong is None


def test_moved_lines_show_and_lines_that_come_twice_do_not_matter() -> None:
    one, two, three = lines_of(3)
    assert checkpoint.read([one, three, two], WITHOUT_MASTER, "f").wrong == "f:2: lines before it are missing"
    assert checkpoint.read([one, two, one, two, three], WITHOUT_MASTER, "f").wrong is None
    assert checkpoint.read([one, one, three], WITHOUT_MASTER, "f").wrong == "f:3: lines before it are missing"


def test_another_key_is_refused() -> None:
    other = trust_of(derive(bytes(32)))
    found = checkpoint.read(lines_of(1), other, "f")
    assert found.wrong == "f:1: was altered, or signed with another key"
    # Nor does it help to write the other key's name on it.
    line = lines_of(1)[0].replace(key_id(TRUST.public_key).encode(), key_id(other.public_key).encode())
    assert checkpoint.read([line], other, "f").wrong == "f:1: was altered"


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[]", b"1", b"{", b'{"v":2}', b'{"at":1}', b"\xff", b'{"v":3}', b"{" * 100_000],
)
def test_what_is_no_line_is_said(line: bytes) -> None:
    assert (checkpoint.read([line], TRUST, "f").wrong or "").startswith("f:1: ")


def test_another_spelling_of_a_line_is_none() -> None:
    tree = json.loads(lines_of(1)[0])
    for spelt in (json.dumps(tree).encode(), canonical(tree).replace(b'"v":2', b'"v":2,"v":2')):
        assert checkpoint.read([spelt], WITHOUT_MASTER, "f").wrong == "f:1: was altered"


# --- the file -----------------------------------------------------------------------------------------------------


def test_lines_of_the_form_before_are_read_and_continued(file: AnchorFile) -> None:
    file.file.write_bytes(line_of_before(0) + line_of_before(3))
    file.append(WRITER, head(4), NOON)
    file.append(WRITER, head(5), NOON)
    checkpoints, wrong = file.read()
    assert (wrong, [item.seq for item in checkpoints]) == (None, [0, 3, 4, 5])
    # The public key proves only what is signed, and the first such line holds the last of the old ones in place.
    signed = read_file(file.file, WITHOUT_MASTER)
    assert (signed.wrong, signed.unproven, [item.seq for item in signed.checkpoints]) == (None, 2, [4, 5])
    old, rest = file.file.read_bytes().split(b"\n", 1)
    file.file.write_bytes(old + b"\n" + rest.split(b"\n", 1)[1])
    assert file.read()[1] == f"{file.file}:2: lines before it are missing"


def test_an_older_program_may_write_in_between(file: AnchorFile) -> None:
    file.append(WRITER, head(1), NOON)
    with file.file.open("ab") as opened:
        opened.write(line_of_before(2))
    again = AnchorFile(file.file, KEYS)
    again.append(WRITER, head(3), NOON)
    checkpoints, wrong = again.read()
    assert (wrong, [item.seq for item in checkpoints]) == (None, [1, 2, 3])


@pytest.mark.parametrize("is_old", [False, True])
def test_an_altered_last_line_is_not_vouched_for(
    file: AnchorFile, is_old: bool, caplog: pytest.LogCaptureFixture
) -> None:
    file.append(WRITER, head(1), NOON)
    forged = (line_of_before(2) if is_old else lines_of(2)[1]).replace(b'"seq":2', b'"seq":9')
    file.file.write_bytes(lines_of(1)[0] + forged)
    again = AnchorFile(file.file, KEYS)
    again.append(WRITER, head(3), NOON)
    again.append(WRITER, head(4), NOON)
    assert "was altered: run verify" in caplog.text
    checkpoints, wrong = again.read()
    assert (wrong, [item.seq for item in checkpoints]) == (f"{file.file}:2: was altered", [1])
    # Nor does it help to have it taken for a line of the form before, which the public key cannot judge.
    assert read_file(file.file, WITHOUT_MASTER).wrong is not None


def test_a_signed_line_before_an_old_one_is_proven_too(file: AnchorFile) -> None:
    one, two = lines_of(2)
    # Linked as it should be, but not signed by us; an older program went on behind it.
    file.file.write_bytes(one + two.replace(b'"seq":2', b'"seq":9') + line_of_before(3))
    assert file.read()[1] == f"{file.file}:2: was altered"
    file.file.write_bytes(one + two + line_of_before(3))
    assert file.read()[1] is None


def test_of_linked_lines_only_the_last_signature_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    # A year of checkpoints is half a million lines, and a signature takes a tenth of a millisecond.
    lines, proven = lines_of(50), []
    real = checkpoint._prove
    monkeypatch.setattr(checkpoint, "_prove", lambda line, trust: (proven.append(line), real(line, trust)))
    assert checkpoint.read(lines, WITHOUT_MASTER, "f").wrong is None
    assert [line.said.seq for line in proven] == [50]
    # One that does not hold is looked for among all.
    lines[20] = lines[20].replace(b'"seq":21', b'"seq":22')
    assert checkpoint.read(lines, WITHOUT_MASTER, "f").wrong == "f:21: was altered"


def test_only_old_lines_need_the_master_key(file: AnchorFile) -> None:
    file.file.write_bytes(line_of_before(3))
    assert file.read()[1] is None
    said = read_file(file.file, WITHOUT_MASTER)
    assert (said.wrong, said.checkpoints) == (f"{file.file}: only the master key can prove its lines", [])
    file.file.write_bytes(line_of_before(3).replace(b'"seq":3', b'"seq":2'))
    assert file.read()[1] == f"{file.file}:1: was altered"


def test_half_a_line_is_cut_off_and_written_again(file: AnchorFile) -> None:
    file.append(WRITER, head(1), NOON)
    whole = file.file.read_bytes()
    # A power cut may also leave octets that were never written.
    for rest in (whole[:40], b"\x00" * 200):
        file.file.write_bytes(whole + rest)
        again = AnchorFile(file.file, KEYS)
        again.mend()
        assert file.file.read_bytes() == whole
    again.append(WRITER, head(2), NOON)
    assert again.read()[1] is None


def test_a_full_disk_leaves_no_half_line(file: AnchorFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.append(WRITER, head(1), NOON)
    whole = file.file.read_bytes()
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, octets: real(fd, octets[:100]))
        with pytest.raises(OSError, match="No space left"):
            file.append(WRITER, head(2), NOON)
    assert file.file.read_bytes() == whole
    file.append(WRITER, head(2), NOON)
    assert file.read()[1] is None


def test_a_checkpoint_a_minute_as_long_as_the_chain_goes_on(file: AnchorFile) -> None:
    now_s = file._kept_s
    assert not file.is_due(now_s)
    file.append(WRITER, head(1), NOON)
    assert file.is_due(now_s + EVERY_S + 1)
    file.keep(WRITER, head(1), NOON, now_s + EVERY_S + 1)
    assert not file.is_due(now_s + EVERY_S + 2)
    assert len(file.read()[0]) == 1
    assert file.is_due(now_s + 2 * EVERY_S + 1)
    file.keep(WRITER, head(2), NOON, now_s + 2 * EVERY_S + 1)
    assert [item.seq for item in file.read()[0]] == [1, 2]


def test_lines_are_on_disk_within_a_minute_and_at_close(file: AnchorFile, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(fd), real(fd)))
    file.append(WRITER, head(1), NOON)
    file.append(WRITER, head(2), NOON)
    assert synced == []
    file.keep(WRITER, head(2), NOON, 0.0)
    assert len(synced) == 1
    # Nothing new: nothing to put on disk.
    file.keep(WRITER, head(2), NOON, 0.0)
    assert len(synced) == 1
    file.append(WRITER, head(3), NOON)
    file.close()
    assert len(synced) == 2


def test_how_far_the_file_has_seen_is_said_without_reading_all_of_it(file: AnchorFile) -> None:
    assert file.seen(WRITER) == 0
    for seq in (3, 200, 5):
        file.append(WRITER, head(seq), NOON)
    file.append("node0.ledger", head(9), NOON)
    assert (file.seen(WRITER), file.seen("node0.ledger"), file.seen("x")) == (200, 9, 0)
    with file.file.open("ab") as opened:
        opened.write(lines_of(1)[0].replace(b'"seq":1', b'"seq":900') + b"nonsense\n")
    assert file.seen(WRITER) == 200


def test_several_files_are_one_knowledge(file: AnchorFile, tmp_path: Path) -> None:
    for seq in (1, 2, 3):
        file.append(WRITER, head(seq), NOON)
    copy = tmp_path / "copy"
    copy.write_bytes(b"".join(file.file.read_bytes().splitlines(keepends=True)[:2]))
    found = read_files([copy, file.file], TRUST)
    assert (found.wrong, [item.seq for item in found.checkpoints]) == (None, [1, 2, 1, 2, 3])
    assert read_files([copy, tmp_path / "none"], TRUST).wrong == f"{tmp_path / 'none'}: is missing"
    assert read_files([tmp_path], TRUST).wrong == f"{tmp_path}: cannot be read: Is a directory"
    (tmp_path / "empty").touch()
    assert read_files([tmp_path / "empty"], TRUST).wrong == f"{tmp_path / 'empty'}: is empty"


def test_a_link_in_its_place_is_not_followed(file: AnchorFile, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    file.file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        file.append(WRITER, head(1), NOON)
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_a_chain_that_went_on_is_anchored_by_the_clock(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody was sanctioned, and nobody asks for anything more."""
    monkeypatch.setattr("filterd.ledger.anchor.EVERY_S", 0.05)
    monkeypatch.setattr("filterd.ledger.writer._KEEP_S", 0.02)
    kept: list[int] = []
    keep = AnchorFile.keep

    def noted(self: AnchorFile, *arguments: Any) -> None:
        keep(self, *arguments)
        kept.append(1)

    monkeypatch.setattr(AnchorFile, "keep", noted)
    engine = open_engine(state_dir)
    try:
        file = state_dir / "ledger.anchor"
        engine.run(lambda txn: txn.append(incident("a_1"), account_id="a_1", tenant_id=None))
        wait_until(lambda: read_file(file, trust_of(KEYS)).checkpoints[-1].seq == 1, "the row is anchored")
        lines, turns = file.read_bytes().count(b"\n"), len(kept)
        wait_until(lambda: len(kept) > turns + 2, "two whole turns of the clock")
        assert file.read_bytes().count(b"\n") == lines, "where nothing is added, nothing is anchored again"
    finally:
        engine.stop()
