"""One marker in every place of a mail is in nothing kept open: log, metrics, events, notices, files of the store.

TX-3.3.1, 4.2.1, AL-5.2; HOUSE rule 11. The checks are the real ones, beside a scripted one that makes mail evidence.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog

from filterd import app, metrics
from filterd.app.checks import Files, Neighbours, build_checks
from filterd.clients.term_lists import TermFolder
from filterd.log import set_up
from filterd.mail.address import parse_forward_path
from filterd.mail.lines import canonical
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.ports import Intake
from filterd.workers.outbox import OutboxWorker
from tests.checks.test_every_place import PLACES
from tests.pipeline.people import ALICE, Office, open_office
from tests.workers.rig import SETTINGS, templates
from tests.workers.test_outbox import Postbox

pytestmark = pytest.mark.slow

MARKS = ("qzxvkiteqz", "蓝色风筝飞")
LIST = """
id = "kites-2026"
label = "gambling"
languages = ["en", "zh"]
legal_basis = "House rule 12"
expires_at = 2026-05-01
terms = ["qzxvkiteqz", "蓝色风筝飞"]
"""
TABLES = {
    "clamd": {"enabled": False},
    "spam": {"enabled": False},
    "content": {"enabled": False},
    "authentication": {"enabled": False},
}


def spellings(mark: str) -> set[bytes]:
    """Say every form in which a program could have kept the marker without meaning to."""
    plain = {mark.encode(), mark.encode("utf-16-le"), mark.encode("utf-16-be"), mark.encode("gb18030")}
    coded = {quote(mark).encode(), mark.encode("unicode_escape"), mark.encode().hex().encode()}
    # Base64 of a text with the marker in it, however many octets stand before it.
    inner = {base64.b64encode(b"x" * at + mark.encode())[at + 2 : -4].strip(b"=") for at in range(3)}
    return plain | coded | inner


@pytest.fixture
def service_lines() -> Iterator[io.StringIO]:
    """What the service log writes."""
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    lines = io.StringIO()
    set_up("debug", json=True, stream=lines)
    yield lines
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = handlers, level


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """An office with every check that reads words and files, and one scripted."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "kites.toml").write_text(LIST, encoding="utf-8")
    (tmp_path / "state").mkdir()
    async with open_office(tmp_path / "state", **TABLES) as office:
        lists = TermFolder(tmp_path / "lists", office.clock, on_reading=lambda _: None)
        lists.open()
        neighbours = Neighbours(scanner=None, clock=office.clock, owner_of=office.ledger.domain_owner)
        real = build_checks(office.config, neighbours, Files(model=None, feed=None, terms=lists))
        assert {"terms", "attachments", "links", "pii", "sender", "rate"} <= {x.name for x in real}
        office.gate = office.gate.adopt(
            terms=office.agreements,
            default_terms=office.terms(),
            checks=(*real, office.script.check()),
            rules=app.gate_rules(office.config),
            resolver=None,
        )
        await office.hire("dana", role="admin")
        rows = [{"line": 2, "name": "Cust", "domains": "cust.example", "contact": "admin@cust.example"}]
        assert (await office.act("dana", "tenant.import", rows=rows))["errors"] == []
        yield office


async def send_all(office: Office, mark: str) -> set[str]:
    """Send a mail with the marker in each place, each once clean and once with a virus; say what was found."""
    for place in PLACES:
        for virus in ((), ("virus.signature.match",)):
            office.script.codes = virus
            # So that the second is no retry of the first.
            raw = canonical(f"Message-ID: <{place.encode().hex()}{len(virus)}@x>\n".encode() + PLACES[place](mark))[0]
            await office.send(raw, "bob@far.example", login=ALICE)
    await office.gate.flush()
    return {f["code"] for e in office.events("decided") for v in e["checks"] for f in v.get("findings", ())}


async def letters(office: Office) -> bytes:
    """Have every promised notice written and sent; say all of it."""
    postbox = Postbox()
    desk = NoticeDesk(office.rules, templates(), SETTINGS)
    worker = OutboxWorker(office.engine, office.engine.submit, desk, postbox, office.clock)
    office.clock.advance(days=2)
    while await worker.drain_once(office.clock.now()):
        pass
    assert postbox.sent
    return b"\n".join(
        f"{to}\n{message['subject']}\n{message.get_content()}".encode() + message.as_bytes()
        for to, message in postbox.sent
    )


async def test_a_marker_in_every_place_is_kept_in_no_place(
    office: Office, tmp_path: Path, service_lines: io.StringIO
) -> None:
    told = b""
    for mark in MARKS:
        # It was looked at, and taken for evidence.
        assert {"content.gambling.terms", "virus.signature.match"} <= await send_all(office, mark)
        told += await letters(office)
    kept = {str(file): file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file()}
    assert any("vault" in name for name in kept)
    kept |= {"log": service_lines.getvalue().encode(), "metrics": metrics.exposition(), "notices": told}
    kept["shown"] = repr([await office.show(ALICE), await office.ledger.call("incident.list", {})]).encode()
    found = [(name, x) for name, content in kept.items() for mark in MARKS for x in spellings(mark) if x in content]
    assert found == []


async def test_the_spellings_find_what_is_kept_open() -> None:
    """That the test above can fail: in each mail itself one of the spellings is found, but where it is packed."""
    packed = [
        place for place in PLACES if not any(x in canonical(PLACES[place](MARKS[0]))[0] for x in spellings(MARKS[0]))
    ]
    assert len(packed) < len(PLACES) / 2


async def test_a_stranger_s_mail_and_one_that_nobody_answers_for_leave_none_either(
    office: Office, tmp_path: Path, service_lines: io.StringIO
) -> None:
    for place in PLACES:
        raw = canonical(PLACES[place](MARKS[0]))[0]
        session = Session(id="c_9", door=Door.SMTP, listener="submission", peer_address="192.0.2.1")
        forward = ForwardPath(path=parse_forward_path(f"<{ALICE}>".encode()))
        await office.gate.enforce(
            Intake(session=session, envelope=Envelope(reverse_path=None, forward_paths=(forward,)), raw=raw)
        )
    await office.gate.flush()
    kept = {str(file): file.read_bytes() for file in (tmp_path / "state").rglob("*") if file.is_file()}
    kept |= {"log": service_lines.getvalue().encode(), "metrics": metrics.exposition()}
    assert [(name, x) for name, content in kept.items() for x in spellings(MARKS[0]) if x in content] == []
