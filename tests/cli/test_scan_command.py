"""`filterd scan` over everything it takes, and the shape of what it prints."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from filterd.clients.clamd_private import EICAR, PrivateClamd
from filterd.log.dns import dns_facts
from filterd.model.session import Envelope
from filterd.model.session import Path as MailPath
from filterd.model.verdict import Assessment
from filterd.ports import Asked
from tests.checks.contexts import path, transaction
from tests.cli.rig import House, run
from tests.kit.clock import NOON
from tests.kit.zones import Zone, ZoneLookups, ZoneServer

pytestmark = pytest.mark.slow

MAIL = b"From: Ann <ann@corp.example>\nTo: bob@else.example\nSubject: hi\nMessage-ID: <1@corp.example>\n\nhello\n"
# Fixed: who reads --json relies on it.
KEYS = {
    "path",
    "disposition",
    "reply",
    "scores",
    "verdicts",
    "clauses",
    "reasons",
    "violations",
    "rung_after",
    "direction",
    "is_complete",
    "defects",
    "troubles",
    "size_bytes",
    "elapsed_ms",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Without the model, whose scores are another test's matter."""
    file = tmp_path / "scan.toml"
    file.write_text("[spam]\nenabled = false\n[content]\nenabled = false\n")
    return file


def test_one_mail_gives_one_object(tmp_path: Path, config: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MAIL)
    said = run("scan", "--json", "--no-clamd", "--config", config, tmp_path / "a.eml")
    assert (said.code, said.err) == (0, "")
    (mail,) = said.objects
    assert set(mail) == KEYS
    assert (mail["path"], mail["disposition"], mail["reply"]) == (str(tmp_path / "a.eml"), "accept", None)
    assert (mail["direction"], mail["scores"], mail["clauses"]) == ("inbound", {}, [])
    others = {"spf", "dkim", "dmarc", "arc", "replay", "attachments", "links", "pii", "rate", "complaints"}
    assert {v["check"] for v in mail["verdicts"]} == others


def test_the_model_that_comes_with_filterd_says_a_probability(tmp_path: Path) -> None:
    words = b"thank you for the minutes of the meeting, please find my comments on the budget below, best regards\n"
    (tmp_path / "a.eml").write_bytes(MAIL + words)
    said = run("scan", "--json", "--no-clamd", tmp_path / "a.eml")
    assert 0 <= said.objects[0]["scores"]["spam"] <= 1


def test_everything_is_scanned_in_order_and_what_cannot_be_is_an_object_too(tmp_path: Path, config: Path) -> None:
    folder = tmp_path / "mails"
    folder.mkdir()
    for name in ("b.eml", "a.eml"):
        (folder / name).write_bytes(MAIL)
    (folder / "index.jsonl").write_bytes(b"{}\n")
    (folder / "c.eml").symlink_to(folder / "nowhere")
    line = b"From a@b.example Mon Nov  2 12:00:00 2026\n"
    (tmp_path / "box").write_bytes(line + MAIL + b"\n" + line + MAIL)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        for name in ("index.jsonl", "train/ham/1.eml"):
            info = tarfile.TarInfo(name)
            info.size = len(MAIL)
            tar.addfile(info, io.BytesIO(MAIL if name.endswith("eml") else b"{}".ljust(len(MAIL))))
    paths = (folder, tmp_path / "box", tmp_path / "x.tar.gz", "-", tmp_path / "none")
    said = run("scan", "--json", "--no-clamd", "--config", config, *paths, stdin=MAIL)
    assert said.code == 1
    assert [(m["path"].removeprefix(f"{tmp_path}/"), m.get("error")) for m in said.objects] == [
        ("mails/a.eml", None),
        ("mails/b.eml", None),
        ("mails/c.eml", "No such file or directory"),
        ("box#1", None),
        ("box#2", None),
        ("x.tar.gz/train/ham/1.eml", None),
        ("-", None),
        ("none", "No such file or directory"),
    ]
    assert [m["member"] for m in said.objects if "member" in m] == ["1", "2", "train/ham/1.eml"]
    assert said.err == ""


def test_text_is_a_line_a_mail_that_no_name_can_break(tmp_path: Path, config: Path) -> None:
    (tmp_path / "a\nb\x1b[31m.eml").write_bytes(MAIL)
    (tmp_path / "c.eml").symlink_to(tmp_path / "nowhere")
    said = run("scan", "--no-clamd", "--config", config, tmp_path)
    first, second = said.out.splitlines()
    assert first == f"accept   {tmp_path}/a\\nb\\x1b[31m.eml"
    assert second == f"error    {tmp_path}/c.eml: No such file or directory"


def test_the_session_and_envelope_are_taken(tmp_path: Path, config: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MAIL)
    options = (
        *("--mail-from", "Ann@Corp.example", "--rcpt-to", "<bob@corp.example>", "--rcpt-to", "eve@corp.example"),
        *("--auth-user", "ANN@corp.example", "--client-ip", "2001:DB8::1", "--helo", "x", "--dns", "127.0.0.1:5353"),
    )
    said = run("scan", "--json", "--no-clamd", "--config", config, *options, tmp_path / "a.eml")
    assert said.objects[0]["direction"] == "internal"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--mail-from", "nobody", "address has no domain"),
        ("--rcpt-to", "a b@c", "syntax error in local part"),
        ("--auth-user", "", "login is empty"),
        ("--client-ip", "300.1.1.1", "300.1.1.1"),
        ("--dns", "here", "is not host:port"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, option: str, value: str, words: str) -> None:
    said = run("scan", "--no-clamd", option, value, tmp_path)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"filterd: command line: {option}: ")
    assert words in said.err
    assert len(said.err.splitlines()) == 1


def test_a_place_without_mail_is_said(tmp_path: Path, config: Path) -> None:
    said = run("scan", "--no-clamd", "--config", config, tmp_path)
    assert (said.code, said.err) == (1, f"filterd: {tmp_path}: no mail there\n")


def test_without_clamd_the_virus_check_is_a_temperror_as_in_service(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MAIL)
    (tmp_path / "c.toml").write_text(
        f'[spam]\nenabled = false\n[clamd]\naddress = "unix:{tmp_path}/none"\ntimeout_s = 60\n'
    )
    (mail,) = run("scan", "--json", "--config", tmp_path / "c.toml", tmp_path / "a.eml").objects
    clamd = next(v for v in mail["verdicts"] if v["check"] == "clamd")
    assert (clamd["outcome"], clamd["reason"], mail["disposition"]) == ("temperror", "scanner.away", "defer")
    assert (mail["reply"]["code"], mail["is_complete"]) == (451, False)


async def test_a_virus_is_found_by_a_real_clamd(tmp_path: Path, clamd_server: PrivateClamd) -> None:
    import asyncio

    folder = tmp_path / "mails"
    folder.mkdir()
    for number in range(12):
        body = EICAR if number % 3 == 0 else b"hello"
        (folder / f"{number:02}.eml").write_bytes(b"Subject: x\n\n" + body + b"\n")
    config = tmp_path / "c.toml"
    config.write_text(f'[spam]\nenabled = false\n[clamd]\naddress = "unix:{clamd_server.socket_path}"\n')
    command = ("scan", "--json", "--config", config, "--auth-user", "ann@corp.example", folder)
    said = await asyncio.to_thread(run, *command)
    assert [m["path"].rpartition("/")[2] for m in said.objects] == [f"{n:02}.eml" for n in range(12)]
    found = [m for m in said.objects if m["disposition"] == "reject"]
    assert [m["path"][-6:-4] for m in found] == ["00", "03", "06", "09"]
    assert all(m["reply"]["code"] == 550 and m["clauses"] and m["rung_after"] == "warn" for m in found)
    code = {f["code"] for m in found for v in m["verdicts"] for f in v["findings"]}
    assert code == {"virus.signature.match"}


def test_dns_is_asked_where_it_is_named(tmp_path: Path) -> None:
    mail = tmp_path / "m.eml"
    mail.write_bytes(b"From: <a@example.org>\r\nSubject: x\r\n\r\nhello\r\n")
    with ZoneServer(Zone.read('["example.org"]\nTXT = ["v=spf1 ip4:192.0.2.7 -all"]\n')) as server:
        words = ("--no-clamd", "--json", "--mail-from", "a@example.org", "--client-ip", "192.0.2.7")
        said = run("scan", mail, *words, "--dns", server.address)
    asked = {v["check"]: [r["result"] for r in v["results"]] for v in said.json["verdicts"]}
    assert asked["spf"][0] == "pass"
    unasked = run("scan", mail, *words)
    assert {v["check"]: v["reason"] for v in unasked.json["verdicts"]}["spf"] == "no_resolver"


def decided(house: House, asked: tuple[Asked, ...], sender: MailPath) -> str:
    """Write the event of a decision that rests on these answers; gives its id."""
    mail = transaction(envelope=Envelope(reverse_path=sender), received_at=NOON)
    said = dns_facts(house.keys.pseudonym, mail, Assessment(verdicts=()), asked)
    client = {"address": "192.0.2.7", "helo": "mx.example.org"}
    fields = {"received_at": NOON, "client": client, "decision": {"violations": []}, **said}
    house.log.stream.append("decided", mail.id, fields)
    return mail.id


def test_a_decision_is_replayed_from_its_event(tmp_path: Path, house: House) -> None:
    """DNS says something else today, or nothing; the event says what it said then."""
    mail = tmp_path / "m.eml"
    mail.write_bytes(b"From: <ann.lee@example.org>\r\nSubject: x\r\n\r\nhello\r\n")
    zone = {
        "example.org": {"TXT": ["v=spf1 exists:%{l}.u.example.org -all"]},
        "ann.lee.u.example.org": {"A": ["127.0.0.2"]},
        "_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject"]},
    }
    dns = ZoneLookups(zone)
    for name, rdtype in (("example.org", "TXT"), ("ann.lee.u.example.org", "A"), ("_dmarc.example.org", "TXT")):
        dns.known(name, rdtype)
    ident = decided(house, dns.asked, path("ann.lee@example.org"))
    words = ("--no-clamd", "--json", "--dns-of", ident, "--state-dir", house.state_dir)
    said = run("scan", mail, "--mail-from", "ann.lee@example.org", *words)
    results = {v["check"]: v["results"][0]["result"] for v in said.json["verdicts"] if v["results"]}
    assert (results["spf"], results["dmarc"]) == ("pass", "pass")
    assert said.err == "not, or not whole, in the event: mx.example.org TXT\n"
    # Another sender is another question, of which the event knows nothing.
    other = run("scan", mail, "--mail-from", "bob@example.org", *words)
    assert "bob.u.example.org A" in other.err


def test_what_cannot_be_replayed_is_said(tmp_path: Path, house: House) -> None:
    mail = tmp_path / "m.eml"
    mail.write_bytes(MAIL)
    said = run("scan", mail, "--no-clamd", "--dns-of", "t_nobody", "--state-dir", house.state_dir)
    assert (said.code, "no decision about it" in said.err) == (1, True)
    both = run("scan", mail, "--dns-of", "t_1", "--dns", "127.0.0.1:53", "--state-dir", house.state_dir)
    assert "one of --dns and --dns-of" in both.err
