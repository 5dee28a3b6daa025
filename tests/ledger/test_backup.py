"""Backups: one consistent set, verified offline, restored into either store; and what becomes of rows that came after.

ops/docs/BACKUP.md. A loss is never gone on with in silence, nobody's sanction comes back or goes away with it, and who
was erased stays erased.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from filterd.clients.wrapped_key import Wrapping, unwrap, wrap
from filterd.errors import ConfigError, ModelError, RefusedError, UsageError
from filterd.ledger import backup, backup_set
from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.backup_copy import COPY_NAME, copy_store
from filterd.ledger.backup_tar import as_folder, pack
from filterd.ledger.backup_verify import chain_rows
from filterd.ledger.chain import Row
from filterd.ledger.checkpoint import trust_of
from filterd.ledger.loss import UNFINISHED, LedgerLost
from filterd.ledger.restore import load, read_anchors, refuse_what_is_not_empty
from filterd.ledger.store import FILE_NAME
from filterd.ledger.traces import Heard
from filterd.ledger.verify import verify_rows
from filterd.model.ids import derived_id
from filterd.model.records import (
    AccountOpened,
    LedgerRestored,
    NoticeSent,
    PersonAdded,
    RowRange,
    SanctionLifted,
    SubjectErased,
    TenantOpened,
)
from filterd.model.standing import History
from tests.kit.clock import NOON
from tests.kit.postgres import Postgres
from tests.ledger.backup_rig import BY, MASTER, Attic, Site, other_keys, sound
from tests.ledger.rig import (
    ACCOUNT,
    AT,
    KEYS,
    WRITER,
    act,
    incident_id,
    open_engine,
    people_the_directory,
    sanction,
    strike,
    url_file,
    violation,
)

pytestmark = pytest.mark.slow

MAIL = b"Subject: x\r\n\r\ny\r\n"


@pytest.fixture
def site(state_dir: Path) -> Iterator[Site]:
    site = Site(state_dir).open()
    yield site
    site.close()


@pytest.fixture
def new_database(store: str, request: pytest.FixtureRequest) -> Iterator[Callable[[], str | None]]:
    """Make an empty place of the same kind: a database, or None where a state directory is all there is."""
    made: list[str] = []

    def make() -> str | None:
        if store == "sqlite":
            return None
        server: Postgres = request.getfixturevalue("postgres_server")
        made.append(server.new_database())
        return made[-1]

    yield make
    for url in made:
        request.getfixturevalue("postgres_server").drop(url)


def people(site: Site) -> None:
    """A past: a directory, somebody who may act, two accounts on record, one mail as evidence, a notice to send."""
    site.engine.run(people_the_directory)
    site.engine.run(lambda txn: txn.put_person(BY, "moderator", "secret token"))
    for account_id in ("a_1", "a_2"):
        site.engine.run(lambda txn, account_id=account_id: act(txn, account_id))
    site.engine.spool.put("t_1", MAIL)
    site.engine.run(lambda txn: txn.promote_evidence("t_1", "a_1", NOON))
    site.engine.run(lambda txn: txn.post("notice", {"account_id": "a_1"}, due_at=NOON))


def lift(site: Site, account_id: str) -> None:
    record = SanctionLifted(
        at=AT, sanction_id=f"x_{account_id}_1", incident_id=incident_id(account_id), by=BY, reason="mercy"
    )
    site.engine.run(lambda txn: txn.append(record, account_id=account_id, tenant_id="n_1"))


def histories(site: Site, *account_ids: str) -> dict[str, History]:
    return {name: site.engine.run(lambda txn, name=name: txn.history(name)) for name in account_ids}


def records(site: Site, account_id: str) -> list[Any]:
    return list(site.engine.run(lambda txn: txn.records(account_id)))


# --- a set ------------------------------------------------------------------------------------------------------------


def test_a_backup_of_a_running_ledger_is_whole(site: Site, tmp_path: Path) -> None:
    people(site)
    manifest = site.back_up(tmp_path / "set")
    found = sound(tmp_path / "set")
    assert (found.fault, found.rows, found.opened, found.has_read_contents) == (None, 6, 1, True)
    assert [(end.writer, end.seq) for end in manifest.heads] == [(WRITER, 6)]
    assert (manifest.objects, manifest.absent) == (1, ())
    assert manifest.streams[f"{WRITER}"].ledger == {WRITER: 6}
    # It goes on: nothing of it is in the set, and nothing of the set is in its way.
    site.engine.run(lambda txn: act(txn, "a_3"))
    assert sound(tmp_path / "set").rows == 6


def test_without_the_master_key_digests_and_hashes_are_followed(site: Site, tmp_path: Path) -> None:
    people(site)
    site.back_up(tmp_path / "set")
    found = sound(tmp_path / "set", keys=None)
    assert (found.is_sound, found.has_read_contents, found.opened) == (True, False, 0)
    assert sound(tmp_path / "set", keys=None, public_key=trust_of(KEYS).public_key).is_sound
    assert not sound(tmp_path / "set", keys=None, public_key=trust_of(other_keys()).public_key).is_sound
    assert "another key" in str(sound(tmp_path / "set", keys=other_keys()).fault)


def test_only_its_owner_reads_it(site: Site, tmp_path: Path) -> None:
    people(site)
    site.back_up(tmp_path / "set")
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (tmp_path / "set", *(tmp_path / "set").rglob("*"))}
    assert modes == {0}


@pytest.mark.one_store("sqlite")
def test_every_file_counts(site: Site, tmp_path: Path) -> None:
    people(site)
    site.back_up(tmp_path / "set", key=wrap(MASTER, Wrapping(recovery_key=bytes(32))))
    files = sorted(x for x in (tmp_path / "set").rglob("*") if x.is_file() and x.stat().st_size)
    assert len(files) > 12
    for file in files:
        was = file.read_bytes()
        for at in (0, len(was) // 2, len(was) - 1):
            file.write_bytes(was[:at] + bytes([was[at] ^ 1]) + was[at + 1 :])
            assert not sound(tmp_path / "set").is_sound, (file, at)
        file.write_bytes(was[:-1])
        assert not sound(tmp_path / "set").is_sound, file
        file.unlink()
        assert not sound(tmp_path / "set").is_sound, file
        file.write_bytes(was)
    assert sound(tmp_path / "set").is_sound
    (tmp_path / "set" / "tables" / "more.jsonl").write_bytes(b"")
    assert "is no part of this backup" in str(sound(tmp_path / "set").fault)


def rewrite(folder: Path, name: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Change a table as somebody does who has the master key, with digests and signature that fit."""
    file = folder / "tables" / f"{name}.jsonl"
    rows = change([json.loads(line) for line in file.read_bytes().splitlines()])
    file.write_bytes(b"".join(json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n" for row in rows))
    manifest = backup_set.read_manifest(folder, None)
    note = backup_set.digest_of(file)
    files = manifest.files | {
        f"tables/{name}.jsonl": backup_set.FileNote(size=note.size, sha256=note.sha256, rows=len(rows))
    }
    (folder / "manifest.json").write_bytes(backup_set.signed(replace(manifest, files=files), KEYS.checkpoint))


def test_a_set_whose_parts_do_not_belong_together_is_named(site: Site, tmp_path: Path) -> None:
    """Digests and signature fit: what is wrong is inside."""
    people(site)
    site.back_up(tmp_path / "set")
    for name, change, why in (
        ("entry", lambda rows: rows[:-1], "is missing"),
        ("entry", lambda rows: [*rows[:2], *rows[3:]], "row 3: is missing"),
        ("entry", lambda rows: [*rows[:2], {**rows[2], "kind": "hold.placed"}, *rows[3:]], "row 3: was altered"),
        ("evidence", lambda rows: [{**rows[0], "address": "0" * 32}], "evidence of transaction t_1 is missing"),
        ("evidence", lambda rows: [{**rows[0], "account_id": "a_2"}], "is not the evidence of t_1"),
    ):
        shutil.copytree(tmp_path / "set", tmp_path / "bad")
        rewrite(tmp_path / "bad", name, change)
        assert why in str(sound(tmp_path / "bad").fault), name
        shutil.rmtree(tmp_path / "bad")


def test_a_crash_at_any_file_leaves_nothing_that_looks_whole(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(site)
    real, left = backup._write, [0]

    def failing(target: Path, parts: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device", str(target))
        return real(target, parts)

    monkeypatch.setattr(backup, "_write", failing)
    number = 0
    while True:
        number += 1
        left[0] = number
        try:
            site.back_up(tmp_path / "set")
            break
        except OSError:
            assert list(tmp_path.iterdir()) == [] or not (tmp_path / "set").exists()
    assert number > 15
    assert sound(tmp_path / "set").is_sound


@pytest.mark.one_store("sqlite")
def test_a_kill_in_the_middle_leaves_another_name_and_no_manifest(site: Site, tmp_path: Path) -> None:
    people(site)
    with site.source() as source:
        pid = os.fork()
        if pid == 0:
            backup._write = lambda *_: os._exit(9)
            backup.take(source, backup.Put(target=tmp_path / "set", node="n", program="1", now=NOON, key=None), KEYS)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert not (tmp_path / "set").exists()
    assert [x.name.startswith(".tmp-backup-") for x in tmp_path.iterdir()] == [True]


def test_a_backup_is_never_written_over_another(site: Site, tmp_path: Path) -> None:
    people(site)
    site.back_up(tmp_path / "set")
    with pytest.raises(UsageError, match="is there already"):
        site.back_up(tmp_path / "set")


def test_evidence_of_the_set_before_is_linked_and_only_new_one_copied(site: Site, tmp_path: Path) -> None:
    people(site)
    site.back_up(tmp_path / "first")
    site.engine.spool.put("t_2", b"another mail")
    site.engine.run(lambda txn: txn.promote_evidence("t_2", "a_2", NOON))
    site.back_up(tmp_path / "second", previous=tmp_path / "first")
    assert sound(tmp_path / "second").opened == 2
    links = sorted(x.stat().st_nlink for x in (tmp_path / "second" / "vault").rglob("*") if x.is_file())
    assert links == [1, 2]
    shutil.rmtree(tmp_path / "first")
    assert sound(tmp_path / "second").is_sound


@pytest.mark.one_store("sqlite")
def test_evidence_erased_while_the_backup_is_taken_is_no_fault(site: Site, tmp_path: Path) -> None:
    people(site)
    with site.source() as source:
        site.engine.run(lambda txn: txn.erase_subject("a_1"))
        asyncio.run(site.engine.sweep(age_s=-1))
        put = backup.Put(target=tmp_path / "set", node="n", program="1", now=NOON, key=None)
        manifest = backup.take(source, put, KEYS)
    assert (manifest.objects, manifest.absent) == (0, ())
    assert sound(tmp_path / "set").is_sound


@pytest.mark.one_store("sqlite")
def test_evidence_that_was_gone_before_is_said(site: Site, tmp_path: Path) -> None:
    people(site)
    shutil.rmtree(site.state_dir / "vault")
    manifest = site.back_up(tmp_path / "set")
    assert len(manifest.absent) == 1
    assert sound(tmp_path / "set").is_sound


def test_a_copy_is_for_the_ledgers_own_user(site: Site, store: str) -> None:
    with pytest.raises(RefusedError, match="root, or the user"):
        site.engine.run(lambda txn: copy_store(txn, {}))
    if store == "postgresql":
        with pytest.raises(RefusedError, match="can be read beside it"):
            site.engine.run(lambda txn: copy_store(txn, {"as_root": True}))
        return
    copy = site.engine.run(lambda txn: copy_store(txn, {"as_root": True}))
    assert copy == str(site.state_dir / COPY_NAME)
    assert stat.S_IMODE(Path(copy).stat().st_mode) == 0o600


@pytest.mark.one_store("sqlite")
async def test_a_copy_holds_nothing_of_a_group_that_failed(site: Site) -> None:
    """Asked in one group with a function whose commit fails, there is no copy, and the ledger goes on."""
    people(site)

    def spoil(txn: Any) -> None:
        act(txn, "a_9")
        raise sqlite3.OperationalError("disk I/O error")

    asked = [site.engine.submit(lambda txn: copy_store(txn, {"as_root": True})), site.engine.submit(spoil)]
    await asyncio.gather(*asked, return_exceptions=True)
    copy = site.state_dir / COPY_NAME
    if copy.exists():
        with backup.snapshot_of_file(copy) as connection:
            assert connection.exec_driver_sql("SELECT COUNT(*) FROM entry").scalar() == 6


def test_a_set_in_one_file_is_the_same_set(site: Site, tmp_path: Path) -> None:
    people(site)
    site.back_up(tmp_path / "set")
    pack(tmp_path / "set", tmp_path / "set.tar")
    assert stat.S_IMODE((tmp_path / "set.tar").stat().st_mode) == 0o600
    with as_folder(tmp_path / "set.tar") as folder:
        assert sound(folder).opened == 1
    octets = bytearray((tmp_path / "set.tar").read_bytes())
    # Within a member: what ends between two of them is found by the list of what belongs to the set.
    (tmp_path / "short.tar").write_bytes(octets[: len(octets) // 2 - 100])
    with pytest.raises(ModelError, match=r"short\.tar"), as_folder(tmp_path / "short.tar"):
        pass


@pytest.mark.one_store("sqlite")
def test_a_tar_cannot_write_elsewhere(tmp_path: Path) -> None:
    for name, kind in (("../evil", tarfile.REGTYPE), ("/evil", tarfile.REGTYPE), ("tables/x", tarfile.SYMTYPE)):
        with tarfile.open(tmp_path / "bad.tar", "w") as tar:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, "/etc/passwd", 0
            tar.addfile(member, io.BytesIO(b""))
        with pytest.raises(ModelError, match="is no part of a backup"), as_folder(tmp_path / "bad.tar"):
            pass


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.one_store("sqlite")
def test_a_wrapped_key_opens_only_with_what_it_was_wrapped_under() -> None:
    phrase, other = Wrapping(passphrase="correct horse battery"), Wrapping(passphrase="correct horse batterie")
    recovery = Wrapping(recovery_key=b"r" * 32)
    wrapped = wrap(MASTER, phrase)
    assert MASTER not in wrapped
    assert MASTER.hex().encode() not in wrapped
    assert unwrap(wrapped, phrase, "x") == MASTER
    assert unwrap(wrap(MASTER, recovery), recovery, "x") == MASTER
    for under in (other, recovery):
        with pytest.raises(ModelError, match=r"^x: "):
            unwrap(wrapped, under, "x")
    with pytest.raises(ModelError, match="does not open"):
        unwrap(wrap(MASTER, recovery), Wrapping(recovery_key=b"s" * 32), "x")
    for broken in (b"", b"{}", b"[]", wrapped.replace(b"scrypt", b"md5"), wrapped.replace(b"131072", b"99999999999")):
        with pytest.raises(ModelError):
            unwrap(broken, phrase, "x")
    with pytest.raises(ConfigError, match="at least 12"):
        wrap(MASTER, Wrapping(passphrase="short"))


# --- restored ---------------------------------------------------------------------------------------------------------


def test_restored_is_what_was_backed_up(
    site: Site, tmp_path: Path, new_database: Callable[[], str | None]
) -> None:
    people(site)
    site.back_up(tmp_path / "set")
    before = histories(site, "a_1", "a_2")
    site.close()
    was = site.tables()
    attic = site.lose(tmp_path / "attic", new_database())
    plan, done = site.restore(tmp_path / "set", anchors=(attic.anchor,))
    assert (plan.is_whole, done.is_accepted) == (True, True)
    now = site.tables()
    # Which backup it was is the one thing more.
    assert [row["key"] for row in now["meta"] if row not in was["meta"]] == ["restored_from"]
    assert {k: v for k, v in now.items() if k != "meta"} == {k: v for k, v in was.items() if k != "meta"}
    assert site.verified(attic.anchor).is_sound
    site.open()
    assert histories(site, "a_1", "a_2") == before
    assert asyncio.run(site.engine.read_evidence(was["evidence"][0]["digest"], "a_1")) == MAIL
    assert site.engine.run(lambda txn: txn.person("secret token")) == (BY, "moderator")
    assert site.engine.run(lambda txn: txn.account("a_1")) == ACCOUNT


@pytest.mark.server
@pytest.mark.one_store("sqlite")
def test_a_set_fits_the_other_store_and_back(site: Site, tmp_path: Path, postgres_server: Postgres) -> None:
    people(site)
    site.back_up(tmp_path / "first")
    site.close()
    was = site.tables()
    site.lose(tmp_path / "attic", postgres_server.new_database())
    site.restore(tmp_path / "first", anchors=(tmp_path / "attic" / ANCHOR,))
    assert site.verified(tmp_path / "attic" / ANCHOR).is_sound
    assert without_meta(site.tables()) == without_meta(was)
    site.open()
    site.back_up(tmp_path / "second")
    assert sound(tmp_path / "second").opened == 1
    site.close()
    postgres_server.drop(url_file(site.state_dir).read_text())
    url_file(site.state_dir).unlink()
    anchor = shutil.copy(site.state_dir / ANCHOR, tmp_path / "later.anchor")
    shutil.rmtree(site.state_dir)
    site.restore(tmp_path / "second", anchors=(Path(anchor),))
    assert without_meta(site.tables()) == without_meta(was)
    assert list(chain_rows(tmp_path / "first")) == list(chain_rows(tmp_path / "second"))
    assert site.verified(Path(anchor)).is_sound
    site.open()


def without_meta(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    # SQLite has numbers where PostgreSQL has true and false.
    return {
        name: sorted(({k: int(v) if isinstance(v, bool) else v for k, v in row.items()} for row in rows), key=repr)
        for name, rows in tables.items()
        if name != "meta"
    }


def test_nothing_is_restored_over_anything(site: Site, tmp_path: Path) -> None:
    people(site)
    site.back_up(tmp_path / "set")
    with pytest.raises(UsageError, match="into an empty"):
        refuse_what_is_not_empty(site.place)


@pytest.mark.server
@pytest.mark.one_store("postgresql")
def test_no_database_with_tables_is_restored_into(site: Site, tmp_path: Path) -> None:
    site.close()
    shutil.rmtree(site.state_dir)
    with pytest.raises(UsageError, match="into an empty database"):
        refuse_what_is_not_empty(site.place)
    site.open()


def test_a_restore_cut_short_does_not_start(
    site: Site, tmp_path: Path, new_database: Callable[[], str | None]
) -> None:
    people(site)
    manifest = site.back_up(tmp_path / "set")
    site.close()
    site.lose(tmp_path / "attic", new_database())
    load(tmp_path / "set", manifest, site.place, KEYS, (), Heard())
    with pytest.raises(LedgerLost, match="did not come to its end"):
        open_engine(site.state_dir)
    assert [row["value"] for row in site.tables()["meta"] if row["key"] == "restore"] == [UNFINISHED]
    with pytest.raises(UsageError, match="into an empty"):
        refuse_what_is_not_empty(site.place)
    shutil.rmtree(site.state_dir)
    url = new_database()
    if url is not None:
        url_file(site.state_dir).write_text(url)
    site.restore(tmp_path / "set", anchors=(tmp_path / "attic" / ANCHOR,))
    site.open()


# --- what came after --------------------------------------------------------------------------------------------------


@pytest.fixture
def lost(
    site: Site, tmp_path: Path, new_database: Callable[[], str | None]
) -> Callable[[Callable[[], None]], Attic]:
    """Back up, let something happen, lose all."""

    def lose(happens: Callable[[], None]) -> Attic:
        people(site)
        site.back_up(tmp_path / "set")
        happens()
        site.close()
        return site.lose(tmp_path / "attic", new_database())

    return lose


def test_rows_that_streams_have_whole_go_back_into_their_places(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    """Nothing is lost then: same rows, same numbers, same hashes; nobody has to accept anything."""
    kept: list[Any] = []

    def happens() -> None:
        lift(site, "a_1")
        site.engine.run(lambda txn: txn.append(strike("a_2", half_points=6), account_id="a_2", tenant_id="n_1"))
        kept.extend([histories(site, "a_1", "a_2"), asyncio.run(site.engine.rows_after("", 0))])

    attic = lost(happens)
    plan, done = site.restore(tmp_path / "set", anchors=(attic.anchor,), events=(attic.events,))
    assert (plan.is_whole, done.is_accepted, done.in_place, done.again) == (True, True, 2, 0)
    assert site.verified(attic.anchor).is_sound
    site.open()
    assert [histories(site, "a_1", "a_2"), asyncio.run(site.engine.rows_after("", 0))] == kept


def test_standing_is_what_it_was_though_sealed_parts_are_lost(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    kept: list[Any] = []

    def happens() -> None:
        lift(site, "a_1")
        site.engine.run(lambda txn: act(txn, "a_2", 2))
        site.engine.run(lambda txn: txn.append(sanction("a_2", 3), account_id="a_2", tenant_id="n_1"))
        kept.append(histories(site, "a_1", "a_2"))

    attic = lost(happens)
    _, done = site.restore(tmp_path / "set", anchors=(attic.anchor,), events=(attic.events,))
    assert not done.is_accepted
    with pytest.raises(LedgerLost, match="--accept-loss"):
        open_engine(site.state_dir)
    with pytest.raises(UsageError, match="give the same --events"):
        site.accept()
    with pytest.raises(UsageError, match="is nobody of this ledger"):
        site.accept(anchors=(attic.anchor,), events=(attic.events,), by="Somebody")
    _, done = site.accept(anchors=(attic.anchor,), events=(attic.events,), by=BY)
    # The lifting in its place, the rest from the first sealed row on once more.
    assert (done.in_place, done.again, done.missing, done.affected) == (1, 4, (), {})
    assert site.verified(attic.anchor).is_sound
    site.open()
    assert histories(site, "a_1", "a_2") == kept[0]
    restored = site.engine.run(lambda txn: [x.record for x in txn.recent_entries(5)])[-1]
    assert restored == LedgerRestored(
        at=site.clock.now(),
        restore_id=restored.restore_id,
        taken_at=NOON,
        by=BY,
        reason="the disk burnt",
        after_seq=7,
        again=(RowRange(writer=WRITER, first=8, last=11),),
    )
    # Numbers that may have been in use are not used again, in the ledger or the stream.
    assert [row.seq for row in asyncio.run(site.engine.rows_after(WRITER, 7))] == list(range(1_000_000, 1_000_005))
    site.engine.run(lambda txn: act(txn, "a_1", 5))
    site.close()
    assert site.verified(attic.anchor).is_sound
    site.open()


def test_with_anchors_alone_what_is_missing_is_named_and_answered_for(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    def happens() -> None:
        lift(site, "a_1")
        site.engine.run(lambda txn: act(txn, "a_2", 2))

    attic = lost(happens)
    _, done = site.restore(tmp_path / "set", anchors=(attic.anchor,))
    assert done.missing == (RowRange(writer=WRITER, first=7, last=10),)
    with pytest.raises(LedgerLost):
        open_engine(site.state_dir)
    site.accept(anchors=(attic.anchor,))
    site.open()
    assert histories(site, "a_1")["a_1"].sanctions[0].lifted_at is None
    site.close()
    assert site.verified(attic.anchor).is_sound
    # The gap is accounted for by a row that only the key of the chain proves.
    walk = [Row(**row) for row in sorted(site.tables()["entry"], key=lambda row: row["seq"])]
    assert verify_rows(walk, KEYS.chain, read_anchors((attic.anchor,), KEYS)).is_sound
    assert "row 7: is missing" in str(verify_rows(walk, None, read_anchors((attic.anchor,), KEYS)).fault)
    site.open()


def test_workers_streams_say_whom_lost_rows_were_about(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    def happens() -> None:
        site.clock.advance(60)
        site.judged("a_2", "t_9")
        site.engine.run(lambda txn: act(txn, "a_2", 2))
        # The ledger's own stream is gone; a worker's is there.
        site.close()
        for file in site.events.glob(f"{WRITER}*"):
            file.unlink()
        site.open()
        for file in site.events.glob(f"{WRITER}*"):
            file.unlink()

    attic = lost(happens)
    _, done = site.restore(tmp_path / "set", anchors=(attic.anchor,), events=(attic.events,))
    assert done.affected == {"a_2": ["a decision whose rows are lost"]}
    _, done = site.accept(anchors=(attic.anchor,), events=(attic.events,))
    site.open()
    tasks = [record for record in records(site, "a_2") if type(record).__name__ == "TaskOpened"]
    assert [task.what.split(":")[0] for task in tasks] == ["restored"]


def test_without_anchors_and_streams_nobody_knows_and_nothing_starts(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    lost(lambda: None)
    plan, done = site.restore(tmp_path / "set")
    assert (plan.is_known, done.is_accepted) == (False, False)
    with pytest.raises(LedgerLost):
        open_engine(site.state_dir)
    _, done = site.accept()
    assert done.missing == (RowRange(writer=WRITER, first=7, last=None),)
    site.open()


def test_anchors_from_before_the_backup_prove_nothing_about_after(
    site: Site, tmp_path: Path, new_database: Callable[[], str | None]
) -> None:
    people(site)
    site.close()
    old = Path(shutil.copy(site.state_dir / ANCHOR, tmp_path / "old.anchor"))
    site.open()
    site.engine.run(lambda txn: act(txn, "a_3"))
    site.back_up(tmp_path / "set")
    site.close()
    site.lose(tmp_path / "attic", new_database())
    plan, done = site.restore(tmp_path / "set", anchors=(old,))
    assert (plan.is_known, done.is_accepted) == (False, False)


@pytest.mark.one_store("sqlite")
def test_an_old_store_put_back_by_hand_is_refused_until_somebody_answers_for_it(site: Site, tmp_path: Path) -> None:
    people(site)
    site.close()
    old = Path(shutil.copy(site.state_dir / FILE_NAME, tmp_path / "old"))
    site.open()
    lift(site, "a_1")
    site.engine.run(lambda txn: act(txn, "a_2", 2))
    before = histories(site, "a_1", "a_2")
    site.close()
    site.put_back_by_hand(old)
    with pytest.raises(LedgerLost, match=r"ends at row 6, and its anchors have seen row 10: an old state was put back"):
        open_engine(site.state_dir)
    # Anchors and streams are where they were: nothing else has to be given.
    _, done = site.accept(by=BY)
    assert (done.in_place, done.again, done.missing) == (1, 3, ())
    site.open()
    assert histories(site, "a_1", "a_2") == before
    with pytest.raises(UsageError, match="another ledger process"):
        site.accept()
    site.close()
    with pytest.raises(UsageError, match="nothing is missing"):
        site.accept()
    site.open()


def forge(folder: Path, **changes: Any) -> None:
    """Change what the ledger's stream says of its last row."""
    file = folder / f"{WRITER}.jsonl"
    lines = file.read_bytes().splitlines()
    said = json.loads(lines[-1])
    said["body"] |= changes
    file.write_bytes(b"\n".join([*lines[:-1], json.dumps(said).encode()]) + b"\n")


def test_a_forged_stream_lifts_nobodys_sanction(site: Site, tmp_path: Path, lost: Callable[..., Attic]) -> None:
    attic = lost(lambda: lift(site, "a_1"))
    forge(attic.events, sanction_id="x_a_2_1", incident_id=incident_id("a_2"))
    plan, done = site.restore(tmp_path / "set", anchors=(attic.anchor,), events=(attic.events,))
    assert [told.place for told in plan.doubtful] == [(WRITER, 7)]
    assert done.missing == (RowRange(writer=WRITER, first=7, last=7),)
    assert list(done.affected) == ["a_1"]
    site.accept(anchors=(attic.anchor,), events=(attic.events,))
    site.open()
    found = histories(site, "a_1", "a_2")
    assert [x.sanctions[0].lifted_at for x in found.values()] == [None, None]
    assert [type(x).__name__ for x in records(site, "a_1")][-1] == "TaskOpened"


def test_a_stream_out_of_everybodys_reach_may_be_trusted(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    """As where the streams are older than the digests of sealed parts."""
    attic = lost(lambda: site.engine.run(lambda txn: act(txn, "a_2", 2)) and None)
    file = attic.events / f"{WRITER}.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"sealed_digest"', b'"unknown_word"'))
    given = {"anchors": (attic.anchor,), "events": (attic.events,)}
    plan, _ = site.restore(tmp_path / "set", **given)
    assert (len(plan.doubtful), len(plan.again)) == (1, 2)
    _, done = site.accept(**given, trusts_streams=True)
    assert (done.missing, done.again) == ((), 3)
    site.open()
    assert len(histories(site, "a_2")["a_2"].incidents) == 2


def test_a_row_whose_locked_findings_the_stream_leaves_out_comes_back_without_them(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    attic = lost(
        lambda: site.engine.run(
            lambda txn: txn.append(violation("a_1", "t_7"), account_id="a_1", tenant_id="n_1") and None
        )
    )
    forge(attic.events, violations=[], policy_digest="q")
    given = {"anchors": (attic.anchor,), "events": (attic.events,)}
    site.restore(tmp_path / "set", **given)
    _, done = site.accept(**given)
    assert (done.again, done.missing) == (1, ())
    assert done.affected == {"a_1": ["a row violation.recorded that is not proven"]}
    site.open()
    assert site.engine.run(lambda txn: txn.new_deliveries("a_1", None, ["k1", "k2"])) == ("k2",)


# --- what rows do not tell --------------------------------------------------------------------------------------------


def test_who_was_erased_after_the_backup_stays_erased(site: Site, tmp_path: Path, lost: Callable[..., Attic]) -> None:
    attic = lost(lambda: site.engine.run(lambda txn: txn.erase_subject("a_1")) and None)
    assert sound(tmp_path / "set").opened == 1, "the backup itself still has the data"
    _, done = site.restore(tmp_path / "set", anchors=(attic.anchor,), events=(attic.events,))
    assert (done.is_accepted, done.erased) == (True, ["a_1"])
    site.open()
    assert site.engine.run(lambda txn: (txn.account("a_1"), txn.find_account(ACCOUNT.login))) == (None, None)
    assert [x.personal for x in asyncio.run(site.engine.opened_entries("a_1"))] == [None, {}, {}]
    site.close()
    assert next(row for row in site.tables()["subject_key"] if row["subject_id"] == "a_1")["wrapped"] is None
    assert [row["account_id"] for row in site.tables()["evidence"]] == []
    site.open()


def test_who_is_named_as_erased_is_erased_before_anything_starts(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    """Without the streams nobody would know."""
    attic = lost(lambda: site.engine.run(lambda txn: txn.erase_subject("a_1")) and None)
    site.restore(tmp_path / "set", anchors=(attic.anchor,), erased=["a_1"])
    assert next(row for row in site.tables()["subject_key"] if row["subject_id"] == "a_1")["wrapped"] is None
    site.accept(anchors=(attic.anchor,), erased=["a_1"])
    site.open()
    said = site.engine.run(lambda txn: [x.record for x in txn.recent_entries(1)])
    assert said == [SubjectErased(at=site.clock.now(), subject_id="a_1")]
    assert site.engine.run(lambda txn: txn.account("a_1")) is None


def notice(site: Site, item_id: str, account_id: str = "a_1") -> NoticeSent:
    return NoticeSent(
        at=site.clock.now(),
        notice_id=derived_id("m", item_id),
        account_id=account_id,
        incident_ids=(incident_id(account_id),),
        template="warning",
        languages=("en",),
        channel="account",
        outcome="accepted",
        deemed_at=site.clock.now(),
        body_digest="d",
    )


async def pending(site: Site) -> list[str]:
    return [item.item_id for item, _, _ in await site.engine.pending()]


def test_a_notice_that_went_out_does_not_again_and_others_do_under_their_names(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    kept: list[str] = []

    def happens() -> None:
        items = asyncio.run(site.engine.lease(NOON, 10))
        second = site.engine.run(lambda txn: txn.post("notice", {"account_id": "a_2"}, due_at=NOON))
        kept.extend([items[0].item_id, second])
        sent = notice(site, items[0].item_id)
        asyncio.run(
            site.engine.done(
                items[0].item_id,
                lambda txn: txn.append(sent, account_id="a_1", tenant_id="n_1", personal={"account": "x@example.com"}),
            )
        )

    attic = lost(happens)
    given = {"anchors": (attic.anchor,), "events": (attic.events,)}
    site.restore(tmp_path / "set", **given)
    _, done = site.accept(**given)
    assert done.sent == 1
    site.open()
    assert kept[0] not in asyncio.run(pending(site))


def test_a_notice_not_known_to_be_sent_goes_out_under_the_same_name(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    attic = lost(lambda: None)
    before = [row["item_id"] for row in json_rows(tmp_path / "set", "outbox")]
    site.restore(tmp_path / "set", anchors=(attic.anchor,))
    site.open()
    assert asyncio.run(pending(site)) == before


def json_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "tables" / f"{name}.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_sanction_whose_notice_nobody_sent_gets_one_where_that_is_known(
    site: Site, tmp_path: Path, lost: Callable[..., Attic], is_complete: bool
) -> None:
    def happens() -> None:
        site.engine.run(lambda txn: txn.append(sanction("a_2", 2), account_id="a_2", tenant_id="n_1"))
        lift(site, "a_1")

    attic = lost(happens)
    if not is_complete:
        forge(attic.events, reason="another one")
    given = {"anchors": (attic.anchor,), "events": (attic.events,)}
    _, done = site.restore(tmp_path / "set", **given)
    if not is_complete:
        _, done = site.accept(**given)
    assert (done.promised, done.unsure) == ((1, []) if is_complete else (0, [incident_id("a_2", 2)]))


def test_the_directory_is_what_rows_tell_of_it_and_the_rest_is_for_people(
    site: Site, tmp_path: Path, lost: Callable[..., Attic]
) -> None:
    def happens() -> None:
        tenant = TenantOpened(
            at=AT, tenant_id="n_2", agreement="tencent-exmail", source="import", domains=("new.example", "example.com")
        )
        site.engine.run(lambda txn: txn.append(tenant, account_id=None, tenant_id="n_2") and None)
        account = AccountOpened(at=AT, account_id="a_5", tenant_id="n_2", source="import")
        site.engine.run(
            lambda txn: txn.append(account, account_id="a_5", tenant_id="n_2", personal={"login": "x@new.example"})
        )
        site.engine.run(lambda txn: act(txn, "a_5"))
        added = PersonAdded(at=AT, person="Noor", role="moderator", by="root")
        site.engine.run(lambda txn: txn.append(added, account_id=None, tenant_id=None) and None)

    attic = lost(happens)
    given = {"anchors": (attic.anchor,), "events": (attic.events,)}
    site.restore(tmp_path / "set", **given)
    _, done = site.accept(**given)
    assert done.affected == {"a_5": ["opened after the backup: its login is not known"]}
    assert done.people == ["Noor (moderator)"]
    site.open()
    tenant, account = site.engine.run(lambda txn: (txn.tenant("n_2"), txn.account("a_5")))
    # A domain that another tenant has by the backup stays that one's.
    assert (tenant.agreement, tenant.domains) == ("tencent-exmail", ("new.example",))
    assert (account.login, account.tenant_id) == ("a_5", "n_2")
    assert len(histories(site, "a_5")["a_5"].sanctions) == 1
    assert site.engine.run(lambda txn: txn.account_of("x_a_5_1")) == "a_5"


def test_evidence_of_lost_rows_is_named(site: Site, tmp_path: Path, lost: Callable[..., Attic]) -> None:
    def happens() -> None:
        site.engine.spool.put("t_8", b"later mail")

        def decide(txn: Any) -> None:
            digest = txn.promote_evidence("t_8", "a_1", NOON)
            record = replace(violation("a_1", "t_8"), evidence_digest=digest)
            txn.append(record, account_id="a_1", tenant_id="n_1")

        site.engine.run(decide)

    attic = lost(happens)
    _, done = site.restore(tmp_path / "set", anchors=(attic.anchor,), events=(attic.events,))
    assert (done.is_accepted, done.lost_evidence) == (True, ["t_8"])


# --- several nodes ----------------------------------------------------------------------------------------------------


@pytest.mark.server
@pytest.mark.one_store("postgresql")
def test_every_writers_chain_goes_on_behind_its_own_gap(
    site: Site, tmp_path: Path, postgres_server: Postgres
) -> None:
    url = url_file(site.state_dir).read_text()
    people(site)
    other = open_engine(tmp_path / "node2", site.clock, node="node2", url=url)
    other.run(lambda txn: act(txn, "a_3"))
    site.back_up(tmp_path / "set")
    other.run(lambda txn: act(txn, "a_3", 2))
    site.engine.run(lambda txn: act(txn, "a_3", 3))
    before = histories(site, "a_3")
    other.stop()
    site.close()
    theirs = tmp_path / "node2" / ANCHOR
    attic = site.lose(tmp_path / "attic", postgres_server.new_database())
    # The streams of node1 only: the rows of node2 are missing.
    given = {"anchors": (attic.anchor, theirs), "events": (attic.events,)}
    site.restore(tmp_path / "set", **given)
    _, done = site.accept(**given)
    assert done.missing == (RowRange(writer="node2.ledger", first=4, last=6),)
    assert site.verified(attic.anchor, theirs).is_sound
    site.open()
    assert len(histories(site, "a_3")["a_3"].sanctions) == len(before["a_3"].sanctions) - 1
    again = open_engine(tmp_path / "node2", site.clock, node="node2", url=url_file(site.state_dir).read_text())
    try:
        assert again.run(lambda txn: act(txn, "a_3", 9)) > 1_000_000
    finally:
        again.stop()


@pytest.mark.server
@pytest.mark.one_store("postgresql")
def test_a_node_whose_anchors_nobody_gave_goes_on_behind_a_gap_too(
    site: Site, tmp_path: Path, postgres_server: Postgres
) -> None:
    """Nobody knows what it had written: its numbers are not used again."""
    url = url_file(site.state_dir).read_text()
    people(site)
    other = open_engine(tmp_path / "node2", site.clock, node="node2", url=url)
    other.run(lambda txn: act(txn, "a_3"))
    site.back_up(tmp_path / "set")
    other.run(lambda txn: act(txn, "a_3", 2))
    other.stop()
    site.close()
    attic = site.lose(tmp_path / "attic", postgres_server.new_database())
    _, done = site.restore(tmp_path / "set", anchors=(attic.anchor,))
    with pytest.raises(LedgerLost, match="--accept-loss"):
        open_engine(tmp_path / "node2", site.clock, node="node2", url=url_file(site.state_dir).read_text())
    _, done = site.accept(anchors=(attic.anchor,))
    assert RowRange(writer="node2.ledger", first=4, last=None) in done.missing
    open_engine(tmp_path / "node2", site.clock, node="node2", url=url_file(site.state_dir).read_text()).stop()
    assert site.verified(attic.anchor, tmp_path / "node2" / ANCHOR).is_sound
    site.open()
