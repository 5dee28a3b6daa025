"""Another policy while mail goes on: all or nothing, nobody refused, nothing lost.  ops/decisions/0013-reload.md."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kit.node import toml
from tests.kit.waiting import PATIENCE_S, must, wait_until
from tests.supervisor.rig import Load, Rig, both, rig
from tests.supervisor.slow_clamd import SlowClamd

pytestmark = pytest.mark.slow


@pytest.fixture
def clamd(tmp_path: Path) -> Iterator[SlowClamd]:
    clamd = SlowClamd(tmp_path / "c")
    yield clamd
    clamd.close()


def digest(rig: Rig) -> str:
    return hashlib.sha256(rig.agreement.read_bytes()).hexdigest()


@both
def test_a_reload_under_load_takes_the_new_text_and_refuses_nobody(workers: int):
    with rig(workers) as house:
        first = digest(house)
        digests = [first]
        with Load(house) as load:
            load.wait(10)
            for version in range(3):
                house.put_agreement(version)
                digests.append(digest(house))
                said = house.node.cli("reload", "--json")
                assert said["policies"]["tencent-exmail"] == digests[-1]
                assert said["agreements"] == {"tencent-exmail": digests[-1]}
                load.wait(10)
        tries = [reply for replies in load.answers.values() for reply in replies]
        print(f"{workers} workers: {len(load.answers)} mails, {len(tries)} tries, 3 reloads")
        assert [str(reply) for reply in tries if reply.code != 250] == []
        assert house.arrived() == dict.fromkeys(load.answers, 1)
        # A mail is decided under one of them, and each of them had its turn.
        used = {event["asked_policy_digest"] for event in house.node.events("decided")}
        assert used == set(digests)
        # One `config` a process and reload: the ledger and each worker, or both halves of the one.
        assert len(house.node.events("config")) == 3 * (1 + max(1, workers))


def test_a_mail_ends_under_the_text_it_began_with(clamd: SlowClamd, tmp_path: Path):
    """Its checks run while the policy changes; the ledger holds the last two sets."""
    with rig(2, {"clamd": {"enabled": True, "address": f"unix:{tmp_path / 'c'}", "timeout_s": 600}}) as house:
        old = digest(house)
        with ThreadPoolExecutor() as pool:
            slow = pool.submit(house.send, house.spam(1))
            must(clamd.asked)
            house.put_agreement(2)
            new = house.node.cli("reload", "--json")["policies"]["tencent-exmail"]
            assert new != old
            clamd.go.set()
            # Refused by the old text, in the ledger too, which has the new one by now: not put off.
            assert slow.result(PATIENCE_S).code == 550
        assert house.send(house.spam(2)).code == 550
        rows = house.node.wait_rows("violation.recorded", count=2)
        assert [row.body["policy_digest"] for row in rows] == [old, new]


@both
def test_what_is_wrong_changes_nothing_and_is_named(workers: int):
    with rig(workers) as house:
        before = house.node.cli("reload", "--json")["policies"]
        right = house.agreement.read_text()
        house.edit('disposition = "reject"', 'disposition = "rejekt"')
        line = right[: right.index('disposition = "reject"')].count("\n") + 1
        said = house.node.run("reload")
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr.startswith(f"filterd: {house.agreement}:{line}: ")
        # The same by signal, which can only say it in the log.
        os.kill(house.pid, signal.SIGHUP)
        house.wait_log(f"{house.agreement}:{line}: ", count=2)
        wait_until(lambda: len(house.node.events("config_refused")) == 2, "two events")
        event = house.node.events("config_refused")[-1]
        assert (event["file"], event["line"]) == (str(house.agreement), line)
        assert house.metric('filterd_reloads_total{result="refused"}') == 2
        assert house.send(house.spam(1)).code == 550
        assert house.node.wait_rows("violation.recorded")[0].body["policy_digest"] == before["tencent-exmail"]
        house.agreement.write_text(right)
        # What needs a restart is refused by name.
        config = house.node.config_file.read_text()
        house.edit(f"port = {house.http}", "port = 1", file=house.node.config_file)
        house.edit('name = "submission"', 'name = "submission"\nhostname = "mx.example"', file=house.node.config_file)
        said = house.node.run("reload")
        assert said.returncode == 1
        assert said.stderr.endswith(": listener.0.hostname, http.port: cannot change without a restart\n")
        # So broken that the command cannot even say where filterd runs: the fault is named all the same.
        house.node.config_file.write_text("[node\n")
        said = house.node.run("reload")
        assert said.returncode == 1
        assert said.stderr.startswith(f"filterd: {house.node.config_file}")
        house.node.config_file.write_text(config)
        # And when it is mended, it is taken.
        os.kill(house.pid, signal.SIGHUP)
        house.wait_log("event=reload_taken", count=2)
        assert house.metric('filterd_reloads_total{result="taken"}') == 2


def test_a_condition_that_may_not_stand_keeps_the_old_agreement_running():
    rule = '[[rule]]\nfinding = "content.weapons.model"\ncategory = "illegal.weapons"\n'
    with rig(0) as house:
        before = house.node.cli("reload", "--json")["policies"]["tencent-exmail"]
        right = house.agreement.read_text()
        house.edit(rule, f"{rule}when = 'strikes_90d > 2'\n")
        line = house.agreement.read_text().partition("when = ")[0].count("\n") + 1
        said = house.node.run("reload")
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr.startswith(f"filterd: {house.agreement}:{line}: ")
        assert "unknown name 'strikes_90d'" in said.stderr
        assert house.send(house.spam(1)).code == 550
        assert house.node.wait_rows("violation.recorded")[0].body["policy_digest"] == before
        # One that may stand is taken.
        house.agreement.write_text(right.replace(rule, f"{rule}when = 'recipients >= 1'\n"))
        assert house.node.cli("reload", "--json")["policies"]["tencent-exmail"] != before
        assert house.send(house.spam(2)).code == 550


def test_an_agreement_that_binds_a_tenant_cannot_be_taken_away():
    with rig(2) as house:
        assert house.send(house.clean("first")).code == 250
        house.edit("[agreement]", '[agreement]\ndefault = "aliyun-mail"', file=house.node.config_file)
        assert "agreement.default" in house.node.cli("reload", "--json")["keys"]
        house.agreement.unlink()
        said = house.node.run("reload")
        assert said.returncode == 1
        assert "is bound by 'tencent-exmail'" in said.stderr
        assert house.send(house.spam(1)).code == 550


def test_a_worker_that_is_started_again_decides_as_the_ledger_does():
    """Files that were changed, or broken, without a reload are nobody's policy."""
    with rig(2) as house:
        old = digest(house)
        house.edit('disposition = "reject"', 'disposition = "rejekt"')
        before = set(house.workers())
        house.node.kill_child("worker")
        house.node.kill_child("ledger")
        wait_until(lambda: len(house.workers()) == 2 and set(house.workers()) != before, "another worker")
        wait_until(lambda: house.node.log().count("event=started") == 3, "it listens")
        for number in range(6):
            # On connections of their own, so that both workers get some; 4xx while the ledger comes back.
            wait_until(lambda n=number: house.send(house.spam(n)).code == 550, "a decision")
        rows = house.node.wait_rows("violation.recorded", count=1)
        assert {row.body["policy_digest"] for row in rows} == {old}


def test_a_worker_that_dies_while_it_reloads_has_the_new_policy_in_the_end():
    with rig(2) as house:
        house.put_agreement(7)
        new = digest(house)
        os.kill(house.pid, signal.SIGHUP)
        house.node.kill_child("worker")
        house.wait_log("event=reload_taken")
        wait_until(lambda: house.node.log().count("event=started") == 3, "another worker")
        for number in range(6):
            assert house.send(house.clean(f"after.{number}")).code == 250
        assert {event["asked_policy_digest"] for event in house.node.events("decided")} == {new}


def test_with_no_filterd_running_reload_says_so():
    with rig(is_started=False) as house:
        house.node.folder.mkdir(exist_ok=True)
        house.node.config_file.write_text(toml({"node": {"state_dir": str(house.node.state_dir)}}))
        said = house.node.run("reload")
        assert said.returncode == 1
        assert said.stderr.endswith("serve.sock: no filterd runs here\n")
