"""Killed from outside again and again while many mails are under way: nothing lost, no double strike.  FAULTS §2, 1."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import letters
from tests.e2e.site import LOGINS, Site
from tests.e2e.terms import tagging
from tests.kit.client import Reply
from tests.kit.node import Node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# One mail in three is spam, which is tagged here and relayed.
SPAM_EACH = 3


def _node(make_node: Callable[..., Node], tmp_path: Path, workers: int) -> Node:
    return make_node(tagging(tmp_path), workers=workers)


def _everything(node: Node) -> None:
    """A power cut, and the machine comes back."""
    node.kill()
    node.start()


def _campaign(
    site: Site, node: Node, kill: Callable[[Node], None], *, senders: int, each: int, kills: int, seed: str
) -> None:
    """Kill while several connections send; then everything has arrived, and no violation counts twice."""
    dice = random.Random(seed)
    node.start()
    done: dict[str, list[Reply]] = {}
    begun = itertools.count(1)
    killed = 0
    total = senders * each
    # So many are sent before each kill; those in hand at that moment come on top.
    pile = total // (kills + 1)

    def work(number: int) -> None:
        login = LOGINS[number % len(LOGINS)]
        sender = site.sender(login)
        for count in range(each):
            turn = next(begun)
            while killed < kills and turn > pile * (killed + 1) + senders:
                time.sleep(0.01)
            to = f"{seed}.{number}.{count}@customers.example"
            if count % SPAM_EACH == 1:
                raw = letters.advert(login, to, number=count, seed=f"{seed}.{number}", language="zh")
            else:
                raw = letters.clean(login, to, tag=f"{seed}.{number}.{count}")
            replies = sender.send_until_settled(letters.letter(login, to, raw), patience_s=120, pause_s=0.1)
            done[to] = replies
        sender.close()

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(senders)]
    for thread in threads:
        thread.start()
    while killed < kills and any(thread.is_alive() for thread in threads):
        if len(done) >= pile * (killed + 1):
            # At no particular place.
            time.sleep(dice.uniform(0, 0.05))
            kill(node)
            killed += 1
        time.sleep(0.005)
    for thread in threads:
        thread.join(180)

    assert len(done) == total
    assert [str(replies[-1]) for replies in done.values() if replies[-1].code != 250] == []
    site.postfix.wait_empty(60)
    copies = Counter(mail.recipient for mail in site.postfix.elsewhere.read())
    tries = sum(len(replies) for replies in done.values())
    lost = sorted(set(done) - set(copies))
    doubled = [to for to, count in copies.items() if count > 1]
    print(f"{seed}: killed {killed}, sent {len(done)}, tries {tries}, lost {len(lost)}, doubled {len(doubled)}")
    assert killed == kills
    assert lost == []
    # A duplicate is a mail that was tried again.
    assert all(len(done[to]) > 1 for to in doubled)
    keys = Counter((row.account_id, row.body["evidence_key"]) for row in node.rows("violation.recorded"))
    assert set(keys.values()) == {1}
    assert len(keys) == senders * len(range(1, each, SPAM_EACH))


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_under_load(site: Site, make_node: Callable[..., Node], tmp_path: Path, workers: int):
    node = _node(make_node, tmp_path, workers)
    _campaign(site, node, _everything, senders=4, each=24, kills=3, seed=f"all{workers}")


@pytest.mark.parametrize("role", ["ledger", "worker"])
def test_one_process_killed_under_load(site: Site, make_node: Callable[..., Node], tmp_path: Path, role: str):
    """The others go on, and the supervisor starts another."""
    node = _node(make_node, tmp_path, 2)
    _campaign(site, node, lambda n: n.kill_child(role), senders=4, each=24, kills=2, seed=role)
    assert node.log().count("ended with -9") == 2


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_killed_a_hundred_times_under_load(site: Site, make_node: Callable[..., Node], tmp_path: Path):
    node = _node(make_node, tmp_path, 2)
    _campaign(site, node, _everything, senders=8, each=600, kills=100, seed="night")
