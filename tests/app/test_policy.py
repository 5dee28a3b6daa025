"""What a reload reads, refuses and changes: without a process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from filterd import app
from filterd.app.policy import FIXED, RELOADABLE, check_change, differing
from filterd.clients.clock import SystemClock
from filterd.config import Config, load
from filterd.errors import ConfigError, FilterdError
from tests.kit.node import toml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# Small: no model is read.
LEAN: dict[str, Any] = {
    "spam": {"enabled": False},
    "content": {"enabled": False},
    "clamd": {"enabled": False},
    "authentication": {"enabled": False},
}


def config(**tables: Any) -> Config:
    return Config.model_validate(LEAN | tables)


@pytest.mark.parametrize(
    ("tables", "error"),
    [
        ({"agreement": {"directory": "/nowhere"}}, "no agreement 'tencent-exmail' in /nowhere"),
        ({"spam": {"model": "/nowhere/model"}}, "/nowhere/model"),
        ({"terms": {"folder": "/nowhere"}}, "/nowhere: cannot be read"),
        ({"links": {"feed": "/nowhere/feed"}}, "/nowhere/feed"),
        ({"clamd": {"address": "somewhere"}}, "somewhere"),
        ({"authentication": {"enabled": True}, "dns": {"nameservers": ["not an address"]}}, "not an address"),
    ],
)
def test_what_a_start_would_refuse_is_refused(tables: dict[str, Any], error: str):
    with pytest.raises(FilterdError, match=re.escape(error)):
        app.read_policy(config(**tables))


def test_the_next_policy_still_knows_the_last_one_and_no_older(tmp_path: Path):
    file = tmp_path / "c.toml"
    file.write_text(toml(LEAN))
    first = app.read_policy(load(file))
    agreement = first.agreements["tencent-exmail"]
    other = {"tencent-exmail": agreement.model_copy(update={"digest": "0" * 64})}
    second = app.Policy(config=first.config, agreements=other, files=first.files).after(first)
    assert set(second.by_digest) == {*first.by_digest, "0" * 64}
    third = app.reread(file, second, SystemClock())
    assert set(third.by_digest) == {*first.by_digest, "0" * 64}
    fourth = app.reread(file, third, SystemClock())
    assert set(fourth.by_digest) == set(first.by_digest)
    assert first.fingerprint == third.fingerprint == fourth.fingerprint != second.fingerprint


def test_two_configurations_have_two_fingerprints():
    first = app.read_policy(config())
    assert app.read_policy(config()).fingerprint == first.fingerprint
    assert app.read_policy(config(inbound={"spam": "reject"})).fingerprint != first.fingerprint


def test_keys_that_differ_are_named_with_their_tables():
    old = config(listener=[{"name": "a", "port": 1}, {"name": "b", "port": 2}])
    new = config(listener=[{"name": "a", "port": 1}, {"name": "b", "port": 3}], inbound={"spam": "reject"})
    assert differing(old, new) == ("listener.1.port", "inbound.spam")
    assert differing(old, config(listener=[{"name": "a", "port": 1}])) == ("listener",)
    assert differing(old, old) == ()


@pytest.mark.parametrize(
    ("tables", "keys"),
    [
        ({"node": {"name": "other"}}, "node.name"),
        ({"next_hop": {"helo": "x.example"}, "http": {"port": 1}}, "next_hop.helo, http.port"),
        ({"notices": {"relay": "127.0.0.1:25", "merge_s": 1}}, "notices.relay"),
        ({"inbound": {"spam": "reject"}, "notices": {"merge_s": 1}}, None),
    ],
)
def test_what_needs_a_restart_is_named_with_its_line(tmp_path: Path, tables: dict[str, Any], keys: str | None):
    file = tmp_path / "c.toml"
    file.write_text(toml(LEAN | tables))
    if keys is None:
        check_change(config(), load(file), file)
        return
    with pytest.raises(ConfigError) as refused:
        check_change(config(), load(file), file)
    assert refused.value.key == keys
    assert refused.value.line is not None
    assert file.read_text().splitlines()[refused.value.line - 1].startswith(keys.split(", ")[0].split(".")[1])


def test_every_table_and_fixed_key_stands_on_the_operator_s_page():
    """Also one that is added some day: it needs a restart unless somebody has thought of it."""
    page = (ROOT / "ops/docs/SUPERVISION.md").read_text()
    taken, _, restart = page.partition("## What needs a restart")
    tables = set(Config.model_fields)
    assert tables >= RELOADABLE
    assert {name for name in RELOADABLE if f"`[{name}]`" not in taken} == set()
    named = {name for name in tables - RELOADABLE if f"`[{name}]`" in restart or f"`[[{name}]]`" in restart}
    assert named == tables - RELOADABLE
    assert {key for key in FIXED if f"`{key}`" not in restart} == set()


def test_without_a_file_there_is_nothing_to_read_again():
    with pytest.raises(ConfigError, match="without a configuration file"):
        app.reread(None, app.read_policy(config()), SystemClock())


RULE = '[[rule]]\nfinding = "content.weapons.model"\ncategory = "illegal.weapons"\n'


@pytest.mark.parametrize("when", ["strikes_90d > 2", "codes.exists(c, c == 'x')", "recipients >", "recipients + 1"])
def test_a_broken_condition_keeps_the_old_policy_and_says_where_it_stands(tmp_path: Path, when: str):
    folder = tmp_path / "agreements"
    folder.mkdir()
    agreement = folder / "tencent-exmail.toml"
    right = (ROOT / "policies/agreements/tencent-exmail.toml").read_text(encoding="utf-8")
    agreement.write_text(right, encoding="utf-8")
    file = tmp_path / "c.toml"
    file.write_text(toml(LEAN | {"agreement": {"directory": str(folder)}}))
    first = app.read_policy(load(file))
    assert right.count(RULE) == 1
    broken = right.replace(RULE, f'{RULE}when = """{when}"""\n')
    agreement.write_text(broken, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        app.reread(file, first, SystemClock())
    line = broken.partition("when = ")[0].count("\n") + 1
    assert str(caught.value).startswith(f"{agreement}:{line}: ")
    assert (caught.value.key or "").endswith(".when")
    agreement.write_text(right.replace(RULE, f"{RULE}when = 'recipients > 1'\n"), encoding="utf-8")
    second = app.reread(file, first, SystemClock())
    assert first.agreements["tencent-exmail"].digest in second.previous
    assert [x.when for x in second.agreements["tencent-exmail"].rule if x.when] == ["recipients > 1"]
