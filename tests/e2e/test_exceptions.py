"""The operator's lists with Postfix in front and behind: refused at RCPT, parted, read again, explained."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import letters
from tests.e2e.site import ALICE, APPEALS, BOB, CAROL, CUSTOMER, Site
from tests.kit.client import Letter, SmtpClient
from tests.kit.node import Node
from tests.kit.waiting import wait_until

RIVAL = "ann@news.rival.example"
HEAD = 'by = "op"\nreason = "for a test"'
CLOSED = f'[[deny]]\nid = "rival"\n{HEAD}\nsender = [".rival.example"]\ntext = "Not from there"\n'
DESK = f'[[accept]]\nid = "desk"\n{HEAD}\nrecipient = ["{CAROL}"]\nskip = ["deny", "spam"]\n'
OUTBOUND = f'[[deny]]\nid = "no-customer"\n{HEAD}\ndirection = "outbound"\nrecipient = ["{CUSTOMER}"]\n'


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lists") / "lists.toml"
    file.write_text(CLOSED + DESK + OUTBOUND)
    return file


@pytest.fixture(scope="module")
def node(lists: Path, make_module_node: Callable[..., Node]) -> Node:
    node = make_module_node({"exceptions": {"files": [str(lists)]}})
    node.start()
    return node


def rewrite(file: Path, text: str) -> None:
    other = file.with_suffix(".new")
    other.write_text(text)
    os.replace(other, file)


def clean(tag: str, *to: str, sender: str = RIVAL) -> Letter:
    return letters.letter(sender, to, letters.clean(sender, to[0], tag=tag))


@pytest.mark.e2e
def test_a_listed_sender_is_refused_at_rcpt_but_for_the_desk(site: Site, node: Node) -> None:
    with SmtpClient(site.ports.mx) as client:
        client.ehlo()
        mail, bob, carol, appeals = client.envelope(clean("rcpt", BOB, CAROL, APPEALS))
        assert mail.code == 250
        assert (bob.code, bob.enhanced) == (550, "5.7.1")
        assert "M-LISTED" in bob.text
        assert "Not from there." in bob.text
        # Other choices hold for the desk than for the appeals address, which takes mail from anywhere.
        assert carol.code == 250
        assert (appeals.code, appeals.enhanced) == (452, "4.5.3")
        assert client.data(clean("rcpt", CAROL).raw).code == 250
        assert client.deliver(clean("appeals", APPEALS)).code == 250
    site.postfix.wait_empty()
    assert [len(site.postfix.mailbox(x).read()) for x in (BOB, CAROL, APPEALS)] == [0, 1, 1]
    denied = node.events("denied")[0]
    said = node.run("explain", denied["session_id"])
    assert "listed deny: followed rival (reject)" in said.stdout
    assert f"{denied['exceptions'][0]['file']}:1" in said.stdout


@pytest.mark.e2e
def test_a_virus_for_the_desk_is_refused(site: Site, node: Node) -> None:
    sender = site.sender(None, through="mx")
    reply = sender.send(letters.letter(RIVAL, CAROL, letters.virus(RIVAL, CAROL, tag="desk")))
    sender.close()
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    decided = node.events("decided")[-1]["decision"]
    assert {x["id"] for x in decided["exceptions"] if x["is_followed"]} == {"desk"}
    assert [x["code"] for x in decided["reasons"] if x["disposition"] == "reject"] == ["inbound.virus"]


@pytest.mark.e2e
def test_mail_of_our_own_to_a_listed_recipient_is_refused_and_gives_no_points(site: Site, node: Node) -> None:
    sender = site.sender(ALICE)
    reply = sender.send(clean("out", CUSTOMER, sender=ALICE))
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert sender.send(clean("in", BOB, sender=ALICE)).code == 250
    sender.close()
    assert node.standing(ALICE)["points"] == 0


@pytest.mark.e2e
def test_a_faulty_change_leaves_the_lists_in_force_and_a_right_one_is_taken(
    site: Site, node: Node, lists: Path
) -> None:
    said = len(node.log())
    rewrite(lists, CLOSED.replace("by =", "bye ="))

    def refused() -> bool:
        sender = site.sender(None, through="mx")
        code = sender.send(clean("again", BOB)).code
        sender.close()
        return code == 550

    def is_said() -> bool:
        assert refused()
        return "exceptions_kept" in node.log(said)

    # Each try is a question at RCPT, which is when the file is looked at.
    wait_until(is_said)
    assert f"{lists}:3: deny.0.bye" in node.log(said)
    rewrite(lists, DESK)
    wait_until(lambda: not refused())
