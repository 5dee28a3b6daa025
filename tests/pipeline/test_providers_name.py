"""Strangers' mail in the provider's own name is seen as such, and the provider's own notices pass.  TX-7.1.

The gate, the ledger, the check and the notice are real.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd import app
from filterd.app.checks import Files, Neighbours, build_checks
from filterd.mail.address import parse_forward_path
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.ports import Answer, Intake
from filterd.workers.outbox import OutboxWorker
from tests.pipeline.people import ALICE, CONFIG, VIRUS, Office, open_office
from tests.workers.rig import templates
from tests.workers.test_outbox import Postbox

pytestmark = pytest.mark.slow

NAME, DESK, DEALER = "Kite Mail", "desk@kitemail.example", "Jiang Mail"
TABLES = {
    **{name: {"enabled": False} for name in ("clamd", "spam", "content", "authentication")},
    "listener": [*CONFIG["listener"], {"name": "inbound", "direction": "inbound", "port": 10029}],
    "notices": {
        **CONFIG["notices"],
        "sender": f"{NAME} <{DESK}>",
        "notice_from": {"Jiang Ltd": f"{DEALER} <mail@jiang.example>"},
    },
}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path, **TABLES) as office:
        neighbours = Neighbours(scanner=None, clock=office.clock, owner_of=office.ledger.domain_owner)
        made = build_checks(office.config, neighbours, Files(model=None, feed=None, terms=None))
        office.gate = office.gate.adopt(
            terms=office.agreements,
            default_terms=office.terms(),
            checks=(*(x for x in made if x.name == "sender"), office.script.check()),
            rules=app.gate_rules(office.config),
            resolver=None,
        )
        await office.mailbox(ALICE)
        yield office


async def come_in(office: Office, raw: bytes) -> Answer:
    session = Session(id="c_1", door=Door.SMTP, listener="inbound", peer_address="192.0.2.9")
    forward = ForwardPath(path=parse_forward_path(f"<{ALICE}>".encode()))
    intake = Intake(session=session, envelope=Envelope(reverse_path=None, forward_paths=(forward,)), raw=raw)
    return await office.gate.enforce(intake)


def lure(author: str) -> bytes:
    return f"From: {author}\r\nTo: <{ALICE}>\r\nSubject: Your mailbox is full\r\n\r\nLog in here.\r\n".encode()


def seen(office: Office) -> tuple[str, list[str]]:
    """Say what became of the last mail, and what was found in it."""
    said = office.events("decided")[-1]
    return said["decision"]["disposition"], [f["code"] for c in said["checks"] for f in c["findings"]]


@pytest.mark.parametrize(
    "author",
    [
        f"{NAME} <x@far.example>",
        "kite  MAIL <x@far.example>",
        "Ｋite Mail <x@far.example>",
        f"{DEALER} <x@far.example>",
        f'"{DESK}" <x@far.example>',
        # The name is the dealer's, the domain nobody's of ours.
        f"{DEALER} <mail@jiang.example.far.example>",
    ],
)
async def test_a_stranger_in_the_providers_name_is_marked(office: Office, author: str) -> None:
    assert (await come_in(office, lure(author))).reply is None
    assert seen(office) == ("tag", ["sender.name.protected"])


async def test_a_domain_that_looks_like_the_providers_is_seen_too(office: Office) -> None:
    await come_in(office, lure("<desk@kitemai1.example>"))
    assert seen(office) == ("tag", ["sender.from.lookalike"])


@pytest.mark.parametrize(
    "author", ["Kite Mailer <x@far.example>", "Jiang <x@far.example>", "Mail <x@far.example>", "<x@far.example>"]
)
async def test_a_name_that_is_another_passes(office: Office, author: str) -> None:
    await come_in(office, lure(author))
    assert seen(office) == ("accept", [])


async def test_the_providers_own_notices_pass(office: Office) -> None:
    """What filterd itself sends, as it sends it, comes in as nobody's borrowed name."""
    await office.spread()
    office.script.codes = ()
    desk = NoticeDesk(office.rules, templates(), app.notice_settings(office.config))
    postbox = Postbox()
    raws: list[bytes] = []
    send = postbox.send

    async def keep(raw: bytes, recipient: str, reverse_path: str | None = None) -> object:
        raws.append(raw)
        return await send(raw, recipient, reverse_path)

    postbox.send = keep  # type: ignore[method-assign,assignment]
    worker = OutboxWorker(office.engine, office.engine.submit, desk, postbox, office.clock)
    office.clock.advance(3600)
    while await worker.drain_once(office.clock.now()):
        pass
    assert raws
    for raw in raws:
        assert DESK.encode() in raw
        assert (await come_in(office, raw)).reply is None
        assert seen(office) == ("accept", [])


async def test_a_customer_of_the_same_name_is_no_impostor(office: Office) -> None:
    """Of mail of our own accounts the provider's name is not asked: only what the operator has put into the list is."""
    answer = await office.send(lure(f"{NAME} <{ALICE}>"), "bob@far.example", login=ALICE)
    assert answer.reply is None
    assert seen(office) == ("accept", [])
    assert VIRUS not in seen(office)[1]


def test_the_placeholder_of_the_default_protects_nothing() -> None:
    from filterd.app.checks import _providers_own
    from filterd.config import Config

    said = _providers_own(Config())
    assert (said.domains, said.names) == ((), ())
