"""The search index: what it finds is what the rows say, on both stores; it can be taken away at any time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filterd.clients.verdict_index import StoredVerdictIndex, open_index
from filterd.clients.verdict_index_store import FILE_NAME, SCHEMA
from filterd.errors import ConfigError, PortError
from filterd.log.search import Search, matches, searched
from filterd.model.found import MailQuery, StreamPosition
from tests.kit.clock import NOON
from tests.kit.postgres import Postgres
from tests.log.streams import answered, decided, denied

pytestmark = pytest.mark.slow

STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.database)]
W0, W1 = "node1.w0", "node1.w1"


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    made = server.new_database()
    yield made
    server.drop(made)


@pytest.fixture
def index(tmp_path: Path, url: str | None) -> Iterator[StoredVerdictIndex]:
    one = open_index(tmp_path, url=url)
    yield one
    one.close()


def rows(*events: dict[str, Any], writer: str = W0, first: int = 1, step_s: float = 1) -> list[Any]:
    """Events as rows, numbered and a second apart."""
    out = []
    for number, event in enumerate(events, start=first):
        at = (NOON + timedelta(seconds=number * step_s)).isoformat()
        row = searched({"v": 1, "writer": writer, "seq": number, "at": at, "tx": None} | event)
        assert row is not None
        out.append(row)
    return out


def put(index: StoredVerdictIndex, items: list[Any], writer: str = W0) -> None:
    after = StreamPosition(seq=items[-1].seq, inode=2**63 + 5, offset=items[-1].seq * 100, mark="5:x")
    assert index.add(writer, index.position(writer), after, items[0].seq, items)


def found(index: StoredVerdictIndex, **asked: Any) -> list[tuple[str | None, str | None]]:
    mails = index.find(MailQuery(**asked))
    return [(m.judged.tx, m.answer.event if m.answer is not None else None) for m in mails]


# --- What it finds ----------------------------------------------------------------------------------------------------

ACCOUNTS, TENANTS = [None, "a_1", "a_2"], [None, "n_1"]
CODES = ["virus.signature.match", "auth.spf.fail", "rate.burst.seen"]
MESSAGES, DOMAINS = [None, "m1", "m2"], ["corp.example", "x.example"]


@st.composite
def streams(draw: st.DrawFn) -> list[Any]:
    """Rows of two writers: mails of few accounts, so that queries meet some, and their answers."""
    out: list[Any] = []
    for writer in (W0, W1):
        events: list[dict[str, Any]] = []
        open_ones: list[str] = []
        for number in range(draw(st.integers(0, 12))):
            tx = f"t_{writer[-1]}{number}"
            match draw(st.integers(0, 3)):
                case 0 | 1:
                    events.append(
                        decided(
                            tx,
                            account_id=draw(st.sampled_from(ACCOUNTS)),
                            tenant_id=draw(st.sampled_from(TENANTS)),
                            codes=draw(st.lists(st.sampled_from(CODES), unique=True, max_size=2)),
                            disposition=draw(st.sampled_from(["accept", "tag", "reject"])),
                            sender_domain=draw(st.sampled_from(DOMAINS)),
                            message_id=draw(st.sampled_from(MESSAGES)),
                            incident_id=draw(st.sampled_from([None, "i_1"])),
                        )
                    )
                    open_ones.append(tx)
                case 2:
                    events.append(denied(draw(st.sampled_from(["a_1", "a_2"]))))
                case 3 if open_ones:
                    kind = draw(st.sampled_from(["delivered", "refused", "relay_failed"]))
                    of = draw(st.sampled_from(open_ones))
                    events.append(answered(of, kind, draw(st.sampled_from([None, "Q1", "Q2"]))))
        # The same second for both: order must not depend on time alone.
        out += rows(*events, writer=writer, step_s=draw(st.sampled_from([0, 1])))
    return out


QUERIES = st.builds(
    MailQuery,
    since_us=st.none() | st.integers(0, 12).map(lambda s: int((NOON.timestamp() + s) * 1e6)),
    until_us=st.none() | st.integers(0, 12).map(lambda s: int((NOON.timestamp() + s) * 1e6)),
    account_id=st.sampled_from([None, None, "a_1", "a_2", "a_9"]),
    tenant_id=st.sampled_from([None, None, None, "n_1"]),
    code=st.sampled_from([None, None, None, *CODES]),
    disposition=st.sampled_from([None, None, None, "accept", "reject", "denied"]),
    sender_domain=st.sampled_from([None, None, None, *DOMAINS]),
    message_ids=st.sampled_from([None, None, None, frozenset({"m1"}), frozenset({"m1", "m2"}), frozenset()]),
    queue_id=st.sampled_from([None, None, None, "Q1", "Q2", "Q9"]),
    incident_id=st.sampled_from([None, None, None, "i_1"]),
    limit=st.sampled_from([1, 3, 50]),
)


@given(streams(), st.lists(QUERIES, min_size=1, max_size=8))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_index_finds_what_the_query_says_in_python(
    index: StoredVerdictIndex, items: list[Any], queries: list[MailQuery]
) -> None:
    for writer in (W0, W1):
        index.rewind(writer, 0)
        if mine := [row for row in items if row.writer == writer]:
            put(index, mine, writer)
    for query in queries:
        search = Search(query)
        for row in items:
            search.take_row(row)
        assert index.find(query) == search.found(), query


def test_the_latest_come_in_the_order_they_happened_with_their_last_answer(index: StoredVerdictIndex) -> None:
    put(
        index,
        rows(decided("t_1"), answered("t_1", "relay_failed"), decided("t_2"), answered("t_1"), decided("t_3")),
    )
    assert found(index) == [("t_1", "delivered"), ("t_2", None), ("t_3", None)]
    assert found(index, limit=2) == [("t_2", None), ("t_3", None)]
    assert [m.judged.tx for m in index.find(MailQuery(), {"t_3", "t_1", "t_9"})] == ["t_1", "t_3"]
    assert index.find(MailQuery(), set()) == []


def test_since_is_in_and_until_is_not(index: StoredVerdictIndex) -> None:
    items = rows(*(decided(f"t_{n}") for n in range(1, 6)))
    put(index, items)
    times = [row.at_us for row in items]
    for since, until, expected in ((1, 3, ["t_2", "t_3"]), (2, 2, []), (0, 4, ["t_1", "t_2", "t_3", "t_4"])):
        query = MailQuery(since_us=times[since], until_us=times[until])
        assert [m.judged.tx for m in index.find(query)] == expected
        assert [row.tx for row in items if matches(row, query)] == expected


def test_a_row_says_whole_what_the_event_said(index: StoredVerdictIndex) -> None:
    (mail,) = items = rows(decided("t_1", codes=CODES, account_id="a_1", incident_id="i_1", disposition="reject"))
    put(index, items)
    assert index.find(MailQuery())[0].judged == mail
    assert mail.codes == tuple(sorted(CODES))
    assert mail.checks == (("clamd", "found", None), ("rate", "skipped", "no_account"))


# --- Position and rows are one ----------------------------------------------------------------------------------------


def test_rows_go_in_only_at_the_position_they_were_read_from(index: StoredVerdictIndex) -> None:
    assert index.position(W0) is None
    items = rows(decided("t_1"), decided("t_2"))
    put(index, items)
    after = index.position(W0)
    assert after == StreamPosition(seq=2, inode=2**63 + 5, offset=200, mark="5:x")
    later = StreamPosition(seq=3, inode=1, offset=300, mark="5:y")
    more = rows(decided("t_3"), first=3)
    for stale in (None, StreamPosition(seq=1), later):
        assert not index.add(W0, stale, later, 3, more)
    assert found(index) == [("t_1", None), ("t_2", None)]
    assert index.add(W0, after, later, 3, more)
    assert len(found(index)) == 3


def test_what_is_read_again_is_there_once_and_what_is_gone_is_gone(index: StoredVerdictIndex) -> None:
    put(index, rows(decided("t_1"), decided("t_2"), answered("t_2"), decided("t_4", codes=CODES)))
    put(index, rows(decided("t_9"), writer=W1), W1)
    index.rewind(W0, 3)
    assert (found(index), index.position(W0)) == ([("t_1", None), ("t_9", None), ("t_2", "delivered")], None)
    put(index, rows(decided("t_1"), decided("t_2b"), decided("t_3"), decided("t_4")))
    assert [tx for tx, _ in found(index)] == ["t_1", "t_9", "t_2b", "t_3", "t_4"]
    assert found(index, code=CODES[0]) == []


def test_a_batch_that_fails_leaves_nothing(index: StoredVerdictIndex) -> None:
    put(index, rows(decided("t_1")))
    before = index.position(W0)
    twice = rows(decided("t_2"), first=2) * 2
    with pytest.raises(PortError):
        index.add(W0, before, StreamPosition(seq=2), 2, twice)
    assert (index.position(W0), found(index)) == (before, [("t_1", None)])


# --- Retention --------------------------------------------------------------------------------------------------------


def test_what_is_too_old_goes_with_all_that_belongs_to_it(
    index: StoredVerdictIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filterd.clients.verdict_index._EXPIRED_AT_ONCE", 3)
    items = rows(*(decided(f"t_{n}", codes=CODES[:1]) for n in range(1, 21)), *(answered(f"t_{n}") for n in (1, 20)))
    put(index, items)
    assert index.expire(NOON + timedelta(seconds=11)) == 20
    assert found(index, code=CODES[0]) == [(f"t_{n}", "delivered" if n in (1, 20) else None) for n in range(11, 21)]
    status = index.status()
    assert (status.mails, status.answers) == (10, 2)
    assert status.kept_since_us == status.oldest_us == items[10].at_us
    assert index.expire(NOON) == 0


# --- Away, damaged, of another version --------------------------------------------------------------------------------


def test_cleared_it_is_empty_and_usable(index: StoredVerdictIndex) -> None:
    put(index, rows(decided("t_1")))
    index.clear()
    assert (found(index), index.position(W0)) == ([], None)
    put(index, rows(decided("t_1")))
    assert found(index) == [("t_1", None)]


def test_a_reader_makes_nothing(tmp_path: Path) -> None:
    reader = open_index(tmp_path, may_create=False)
    with pytest.raises(PortError, match="no index here"):
        reader.find(MailQuery())
    assert list(tmp_path.iterdir()) == []
    writer = open_index(tmp_path)
    put(writer, rows(decided("t_1")))
    assert found(reader) == [("t_1", None)]
    put(writer, rows(decided("t_2"), first=2))
    assert len(found(reader)) == 2


def test_a_file_that_was_removed_is_made_anew_and_one_that_is_damaged_too(tmp_path: Path) -> None:
    index, file = open_index(tmp_path), tmp_path / FILE_NAME
    put(index, rows(decided("t_1")))
    file.unlink()
    assert (index.position(W0), found(index)) == (None, [])
    put(index, rows(decided("t_1")))
    index.close()
    file.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    reader = open_index(tmp_path, may_create=False)
    with pytest.raises(PortError):
        reader.find(MailQuery())
    assert file.exists()
    with pytest.raises(PortError, match="made anew"):
        index.position(W0)
    assert index.position(W0) is None
    put(index, rows(decided("t_2")))
    assert found(index) == [("t_2", None)]
    assert file.stat().st_mode & 0o077 == 0


def test_another_version_is_made_anew_by_the_writer_and_not_read(tmp_path: Path) -> None:
    index, file = open_index(tmp_path), tmp_path / FILE_NAME
    put(index, rows(decided("t_1")))
    index.close()
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE meta SET value = '0' WHERE key = 'version'")
    raw.close()
    with pytest.raises(PortError, match="version 0"):
        open_index(tmp_path, may_create=False).status()
    assert found(open_index(tmp_path)) == []


def test_a_full_disk_is_temporary_and_leaves_the_index_whole(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    put(index, rows(decided("t_1")))
    index._store._open().connection.dbapi_connection.execute("PRAGMA max_page_count = 1")  # type: ignore[union-attr]
    with pytest.raises(PortError) as err:
        put(index, rows(*(decided(f"t_{n}", account_id="a" * 200) for n in range(2, 400)), first=2))
    assert err.value.temporary
    assert found(index) == [("t_1", None)]


@pytest.mark.parametrize("bad", ["mysql://x/y", "postgresql:x", "/var/lib/index", ""])
def test_a_url_that_is_none_names_its_key(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ConfigError, match=r"index\.url"):
        open_index(tmp_path, url=bad)


@pytest.mark.database
def test_postgresql_that_is_away_is_temporary(tmp_path: Path) -> None:
    with pytest.raises(PortError) as err:
        open_index(tmp_path, url=f"postgresql://nobody@/x?host={tmp_path}").position(W0)
    assert err.value.temporary


@pytest.mark.database
def test_two_nodes_share_a_schema_and_nothing_else_of_the_database(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    import psycopg

    url = postgres_server.new_database()
    one, two = open_index(tmp_path, url=url), open_index(tmp_path, url=url)
    put(one, rows(decided("t_1")))
    put(two, rows(decided("t_2"), writer="node2.w0"), "node2.w0")
    assert found(one) == found(two) == [("t_1", None), ("t_2", None)]
    with psycopg.connect(url) as raw:
        places = raw.execute("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'judged'").fetchall()
    assert places == [(SCHEMA,)]
    one.close()
    two.close()
    postgres_server.drop(url)
