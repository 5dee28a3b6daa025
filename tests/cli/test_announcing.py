"""New terms that nobody was told of are said by `filterd policy check` and by a running node.  TX-4.1.4."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from filterd.agreement.versions import shelved
from filterd.app.announced import AnnouncedWatch
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.standing import History
from filterd.share import path
from tests.cli.rig import House, run
from tests.kit.clock import NOON, FrozenClock
from tests.kit.terms import tencent

pytestmark = pytest.mark.slow

SHIPPED = path("policies/agreements/tencent-exmail.toml")


@pytest.fixture
def coming(tmp_path: Path) -> Path:
    """A version of the shipped text that begins in seventy years."""
    text = SHIPPED.read_text(encoding="utf-8")
    later = re.sub(r"^effective_from = .*$", "effective_from = 2096-01-01T00:00:00+08:00", text, count=1, flags=re.M)
    later = re.sub(r"^version = .*$", 'version = "2096-01"', later, count=1, flags=re.M)
    (tmp_path / "b.toml").write_text(later, encoding="utf-8")
    return tmp_path / "b.toml"


def warnings(*files: Path, state_dir: Path) -> list[str]:
    config = state_dir / "check.conf"
    config.write_text(f'[node]\nstate_dir = "{state_dir}"\n', encoding="utf-8")
    said = run("policy", "check", *files, "--config", config, "--json")
    assert said.code == 0, said.err
    return [x for one in said.json for x in one["warnings"] if "replaces another version" in x]


def test_policy_check_says_that_new_terms_were_not_announced(coming: Path, house: House) -> None:
    (said,) = warnings(coming, state_dir=house.state_dir)
    assert said == (
        "tencent-exmail 2096-01 replaces another version and was not announced:"
        " filterd change announce terms --agreement tencent-exmail --on 2096-01-01 --document WHERE"
    )
    token = {"FILTERD_TOKEN": house.person("ana")}
    # Another day's announcement, and one of a price, are none of it.
    for what, day in (("terms", "2095-12-31"), ("price", "2096-01-01")):
        done = house.run("change", "announce", what, "--on", day, "--document", "d", env=token)
        assert done.code == 0, done.err
    assert warnings(coming, state_dir=house.state_dir) == [said]
    done = house.run("change", "announce", "terms", "--on", "2096-01-01", "--document", "d", env=token)
    assert done.code == 0, done.err
    assert warnings(coming, state_dir=house.state_dir) == []
    assert warnings(SHIPPED, state_dir=house.state_dir) == []


def test_where_nothing_runs_it_is_said_that_nobody_can_be_asked(coming: Path, tmp_path: Path) -> None:
    (said,) = warnings(coming, SHIPPED, state_dir=tmp_path)
    assert "nobody can be asked whether it was announced" in said


async def test_a_running_node_says_it_once_and_no_more_when_it_is_announced() -> None:
    base, begins = tencent(), NOON + timedelta(days=30)
    later = base.model_copy(update={"version": "next", "digest": "2" * 64, "effective_from": begins})
    terms = shelved([base, later], NOON)
    rows: tuple[r.ChangeAnnounced, ...] = ()
    opened = r.TenantOpened(at=NOON, tenant_id="n_1", agreement=base.id, source="x", domains=())

    class Txn:
        def history(self, _: str) -> History:
            return History(account_id=SITE, further=rows)

        def records(self, _: str) -> tuple[Any, ...]:
            return (opened,)

    async def submit(look: Any) -> Any:
        return look(Txn())

    watch = AnnouncedWatch(submit, lambda: terms, FrozenClock())
    with capture_logs() as lines:
        await watch.look()
        await watch.look()
    (line,) = lines
    assert (line["event"], line["version"], line["log_level"]) == ("version_not_announced", "next", "warning")
    assert line["do"].startswith(f"filterd change announce terms --agreement {base.id} --on 2026-")
    day = base.calendar.start_of(base.calendar.day_of(begins))
    rows = (
        r.ChangeAnnounced(
            at=NOON, change_id="c", what="terms", tenant_id=None, effective_at=day, document="d", by="ana"
        ),
    )
    with capture_logs() as lines:
        await watch.look()
    assert lines == []
    assert day < datetime(2027, 1, 1, tzinfo=UTC)
