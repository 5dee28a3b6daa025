"""Campaign copies that were delivered, with real servers: taken out of a Dovecot, and told of from Postfix's log.

STANDING 5.7-14, ops/dovecot/claw-back, ops/postfix/delivered-to.
"""

from __future__ import annotations

import json
import os
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filterd.clients.delivery_log import CommandDeliveryLog
from filterd.clients.verdict_index import open_index
from tests.conftest import record_server
from tests.e2e import letters
from tests.e2e.site import ALICE, BOB, Site
from tests.e2e.test_queue_effector import with_text
from tests.kit.dovecot import PrivateDovecot
from tests.kit.node import Node
from tests.kit.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.e2e

OPS = Path(__file__).parents[2] / "ops"
ONE, TWO, JAIL = (f"{name}@dove.example" for name in ("one", "two", "quarantine"))
COPY, OTHER = "t_01jcopycopy", "t_01jotherother"
PARTNER = "partner@wire.example"
WORDS = (
    "Dear Mr Petrov,\n\nthe workshop has sent its quotation for the new window frames. It is a little more than the "
    "one of last year, because the price of oak has gone up. I have put the drawings into the folder.\n\nAnna\n"
)


# --- the program for Dovecot ------------------------------------------------------------------------------------------


@pytest.fixture
def dovecot(request: pytest.FixtureRequest) -> Iterator[PrivateDovecot]:
    dovecot = PrivateDovecot(addresses=(ONE, TWO, JAIL))
    try:
        dovecot.start()
        record_server(request.config, "dovecot", dovecot.version)
        yield dovecot
    finally:
        dovecot.stop()


def put(dovecot: PrivateDovecot, to: str, transaction_id: str) -> None:
    with smtplib.LMTP("127.0.0.1", dovecot.port, timeout=PATIENCE_S) as client:
        raw = f"X-Filterd-Id: {transaction_id} fp=0123\r\nSubject: hello\r\n\r\n{transaction_id}\r\n"
        client.sendmail("alice@cust.example", [to], raw)


def claw_back(dovecot: PrivateDovecot, **request: str) -> subprocess.CompletedProcess[str]:
    given = {"act": "claw_back", "login": ONE, "transaction_id": COPY, "field": "X-Filterd-Id"} | request
    return subprocess.run(
        [OPS / "dovecot" / "claw-back", JAIL, "Clawed-back"],
        input=json.dumps(given),
        env=os.environ | {"DOVEADM": f"doveadm -c {dovecot.folder}/dovecot.conf"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def in_box(dovecot: PrivateDovecot, login: str) -> list[str]:
    """Say whose copies lie in a mailbox, in any folder."""
    files = (dovecot.folder / "mail" / login).rglob("*,S=*")
    return sorted(file.read_text().splitlines()[-1] for file in files)


def test_the_copy_is_moved_into_the_quarantine_once_and_no_other_mail_is(dovecot: PrivateDovecot) -> None:
    for to, transaction_id in ((ONE, COPY), (ONE, OTHER), (TWO, COPY)):
        put(dovecot, to, transaction_id)
    said = claw_back(dovecot)
    assert (said.returncode, said.stderr) == (0, "")
    assert json.loads(said.stdout) == {"ok": True, "moved": 1}
    assert in_box(dovecot, ONE) == [OTHER]
    assert in_box(dovecot, TWO) == [COPY]
    assert in_box(dovecot, JAIL) == [COPY]
    # Asked twice, as after a crash.
    assert json.loads(claw_back(dovecot).stdout) == {"ok": True, "moved": 0}
    assert json.loads(claw_back(dovecot, login=TWO).stdout) == {"ok": True, "moved": 1}
    assert in_box(dovecot, JAIL) == [COPY, COPY]


@pytest.mark.parametrize(
    "request_",
    [
        {"transaction_id": ""},
        {"transaction_id": "*"},
        {"transaction_id": "t_01jcopycopy or all"},
        {"field": "Subject: x"},
        {"login": "-A"},
        {"login": "*"},
        {"login": JAIL},
        {"login": "nobody@dove.example"},
        {"act": "delete"},
    ],
    ids=lambda x: " ".join(f"{k}={v}" for k, v in x.items()),
)
def test_what_is_no_such_request_moves_nothing_and_is_no_yes(dovecot: PrivateDovecot, request_: dict[str, str]) -> None:
    put(dovecot, ONE, COPY)
    said = claw_back(dovecot, **request_)
    assert said.returncode != 0
    assert said.stdout == ""
    assert in_box(dovecot, ONE) == [COPY]


# --- the whole of it --------------------------------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Where the program that stands for a mail store writes what it was asked, a line a request."""
    return tmp_path / "told"


def mail_store(told: Path) -> list[str]:
    program = told.with_name("store")
    program.write_text(f'#!/bin/sh\nsed "s/$/\\n/" >> {told}\necho \'{{"ok": true, "moved": 1}}\'\n')
    program.chmod(0o755)
    return [str(program)]


def steal(site: Site, node: Node) -> None:
    """Have two copies delivered, one here and one elsewhere, a third noticed, and the account attested."""
    node.tokens["dana"] = node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
    # An account is made with its first mail.
    sender = site.sender(BOB)
    assert sender.send(letters.letter(BOB, PARTNER, letters.clean(BOB, PARTNER, tag="bob"))).code == 250
    sender.close()
    sender = site.sender(ALICE)
    for number, to in enumerate((BOB, PARTNER)):
        raw = letters.text(ALICE, to, "Quotation for the window frames", WORDS, tag=f"copy{number}")
        assert sender.send(letters.letter(ALICE, to, raw)).code == 250
    sender.close()
    site.wire.wait(2)
    site.postfix.wait_empty()
    index = open_index(node.state_dir)
    wait_until(lambda: index.status().answers >= 3, "the index has followed")
    index.close()
    tenants = node.folder / "tenants.csv"
    tenants.write_text(f"name,domains,contact\ncorp.example,corp.example,{BOB}\n")
    node.cli("tenant", "import", str(tenants), "--json", person="dana")
    node.cli("security", "report", "--account", ALICE, "--indicator", "auth.failures", "--json", person="dana")
    sender = site.sender(ALICE)
    infected = with_text(letters.virus(ALICE, PARTNER, tag="found"), WORDS)
    assert sender.send(letters.letter(ALICE, PARTNER, infected)).code == 550
    sender.close()
    node.cli("security", "attest", ALICE, "--reason", "password reset, sessions revoked", "--json", person="dana")


def acts(node: Node) -> list[tuple[str, str, int]]:
    return [(x.body["act"], x.body["outcome"], x.body["count"]) for x in node.rows("effect.reported")]


def test_the_mail_store_is_asked_for_the_copy_that_lies_in_a_mailbox(
    site: Site, make_node: Callable[..., Node], told: Path
) -> None:
    node = make_node({"effectors": {"claw_back": {"command": mail_store(told)}}, "index": {"enabled": True}})
    node.start()
    steal(site, node)
    wait_until(lambda: ("claw_back", "applied", 1) in acts(node), "the mail store was not asked")
    (asked,) = [json.loads(line) for line in told.read_text().splitlines() if line]
    assert (asked["login"], asked["act"], asked["field"]) == (BOB, "claw_back", "X-Filterd-Id")
    # The mail in the box bears the id that was named.
    copies = [x for x in site.postfix.mailbox(BOB).read() if "window frames" in str(x.message["subject"])]
    assert [x.fields("X-Filterd-Id")[0].split()[0] for x in copies] == [asked["transaction_id"]]


def test_the_contact_reads_of_whom_postfix_has_told_in_its_log(site: Site, make_node: Callable[..., Node]) -> None:
    log = [str(OPS / "postfix" / "delivered-to"), str(site.postfix.log_file)]
    node = make_node({"effectors": {"delivery_log": {"command": log}, **queue(site)}, "index": {"enabled": True}})
    node.start()
    steal(site, node)
    wait_until(lambda: ("report", "applied", 2) in acts(node), "the contact was not told")
    assert ("claw_back", "unavailable", 1) in acts(node)
    (letter,) = [x for x in site.postfix.mailbox(BOB).read() if "were delivered" in str(x.message["subject"])]
    text = str(letter.message.get_content())
    assert PARTNER in text
    assert "Nothing was taken back" in text


def queue(site: Site) -> dict[str, Any]:
    programs = {name: [f"/usr/sbin/{name}", "-c", str(site.postfix.etc)] for name in ("postqueue", "postsuper")}
    return {"mta_queue": {"enabled": True, **programs}}


# --- the log ----------------------------------------------------------------------------------------------------------


async def test_of_postfix_s_log_deliveries_of_these_mails_are_read_and_nothing_else(tmp_path: Path) -> None:
    lines = (
        "to=<one@far.example>, relay=mx.far.example[192.0.2.1]:25, delay=0.1, dsn=2.0.0, status=sent (250 ok)",
        "to=<two@far.example>, relay=mx.far.example[192.0.2.1]:25, delay=0.1, dsn=5.1.1, status=bounced (550 no)",
        "to=<real@far.example>, orig_to=<said@far.example>, relay=local, delay=0, dsn=2.0.0, status=sent (delivered)",
    )
    log = tmp_path / "log"
    log.write_text("".join(f"Mar  2 01:00:00 host postfix/smtp[9]: 4F1A2200AB: {line}\n" for line in lines))
    with log.open("a") as file:
        file.write(f"Mar  2 01:00:00 host postfix/smtp[9]: 4F1A2200AC: {lines[0].replace('one@', 'other@')}\n")
    subprocess.run(["gzip", "-k", log], check=True, timeout=PATIENCE_S)
    wanted = frozenset({"one@far.example", "said@far.example"})
    for files in ([log], [Path(f"{log}.gz")], [tmp_path / "gone", log]):
        program = CommandDeliveryLog([str(OPS / "postfix" / "delivered-to"), *map(str, files)], timeout_s=PATIENCE_S)
        assert await program.recipients({"4F1A2200AB", "no such", "4F1A22"}) == {"4F1A2200AB": wanted}
