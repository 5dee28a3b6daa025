"""What must hold of any mail that goes through the gate, on a real ledger.  STANDING 7.1: prop_headers_never_exempt,
prop_idempotent, prop_contestable_while_counting."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.appeal import contestable
from filterd.agreement.standing import strike_at
from filterd.checks.rate import CLIENT_AUTOMATED
from filterd.checks.rate_client import automated
from filterd.config import Config
from filterd.mail.address import parse_forward_path
from filterd.mail.parse import parse
from filterd.model import records as r
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.ports import Intake
from tests.kit.house import House, letter
from tests.pipeline.people import CONFIG, DAY

pytestmark = pytest.mark.slow

# More in the nightly run.
EXAMPLES = int(os.environ.get("FILTERD_ORACLE_EXAMPLES", "12"))
LOGIN = "alice@cust.example"
BREACHES = (
    ("virus.signature.match",),
    ("link.feed.match",),
    ("content.spam.model", "rate.burst.running"),
    ("content.advertising.model", "rate.message.bulk", "rate.unknown.high"),
    ("content.gambling.model", "rate.recipients.high"),
    ("content.phishing.model", "link.text.mismatch"),
    ("content.spam.model", "rate.strangers.unlike"),
)
SCRIPT = "X-Mailer: PHPMailer 6.9.1"
# What honest automatic mail, lists, bounces and forwards bear, and what somebody might hope to pass with.
COSTUMES = (
    "List-Id: <news.cust.example>",
    "List-Unsubscribe: <https://cust.example/out>",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    "List-Post: NO",
    "Precedence: bulk",
    "Precedence: list",
    "Auto-Submitted: auto-replied",
    "Auto-Submitted: auto-generated",
    "X-Auto-Response-Suppress: All",
    "X-Loop: alice@cust.example",
    "Delivered-To: alice@cust.example",
    "Resent-From: <mum@home.example>",
    "Resent-Message-ID: <1@home.example>",
    "Return-Path: <>",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
    "Feedback-ID: 1:2:3:x",
    "In-Reply-To: <question@other.example>",
    "References: <question@other.example>",
    "X-Spam-Flag: NO",
    "X-Filterd-Id: t_00000000000000000000000000",
    "X-Filterd-Verdict: clean",
    "X-Originating-IP: [127.0.0.1]",
    "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=google.com; s=x; b=AAAA",
    "Authentication-Results: mx.cust.example; dkim=pass header.d=google.com",
    "Received: from mx (mx.other.example [192.0.2.1]) by mx.cust.example; Mon, 2 Mar 2026 09:00:00 +0800",
    "X-Auth-User: nobody@rival.example",
    "Sender: postmaster@cust.example",
    SCRIPT,
    "X-Mailer: Microsoft Outlook 16.0",
)
NULL = None
PATHS = (
    NULL,
    LOGIN,
    "postmaster@cust.example",
    "srs0=ab=cd=other.example=bob@cust.example",
    "b+bob=other.example@cust.example",
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = await House(tmp_path, Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})).open()
    yield opened
    await opened.close()


async def submit(
    house: House, raw: bytes, codes: tuple[str, ...], to: tuple[str, ...], login: str, path: str | None = NULL
) -> int | None:
    """Hand one authenticated mail in; say the reply's code. That a script sends is found as the check finds it."""
    session = Session(
        id="c_1", door=Door.SMTP, listener="submission", peer_address="127.0.0.1", is_trusted_peer=True, login=login,
        login_source="xclient",
    )  # fmt: skip
    read = lambda x: parse_forward_path(f"<{x}>".encode())  # noqa: E731
    found = automated(parse(raw), session)
    house.script.codes = (*codes, CLIENT_AUTOMATED) if found is not None else codes
    envelope = Envelope(
        reverse_path=read(path) if path is not None else None,
        forward_paths=tuple(ForwardPath(path=read(x)) for x in to),
    )
    answer = await house.gate.enforce(Intake(session=session, envelope=envelope, raw=raw))
    return answer.reply.code if answer.reply is not None else None


def history_of(house: House, login: str) -> Any:
    ref = house.engine.run(lambda txn: txn.find_account(login))
    assert ref is not None
    return house.engine.run(lambda txn: txn.history(ref.account_id))


def unshown(history: Any) -> Any:
    """The same, whenever its owner first read of each case: a retry that is refused may be that."""
    return replace(history, incidents=tuple(replace(x, shown_at=None) for x in history.incidents))


async def points(house: House, codes: tuple[str, ...], login: str, path: str | None, *costume: str) -> float:
    """Say what points a fresh account of the same tenant gets for one such mail."""
    to = tuple(f"{n}.{login.partition('@')[0]}@other.example" for n in range(60))
    await submit(house, letter(login, *costume, sender=login), codes, to, login, path)
    return float((await house.show(login))["points"])


async def test_prop_headers_never_exempt(house: House) -> None:
    """On an authenticated submission no header and no null reverse-path lowers what it costs."""
    chance = random.Random(7)
    plain = {codes: await points(house, codes, f"plain{n}@cust.example", LOGIN) for n, codes in enumerate(BREACHES)}
    assert sum(x > 0 for x in plain.values()) >= 5
    for number in range(EXAMPLES * 3):
        codes, path = chance.choice(BREACHES), chance.choice(PATHS)
        costume = chance.sample(COSTUMES, chance.randint(1, 6))
        got = await points(house, codes, f"u{number}@cust.example", path, *costume)
        assert got >= plain[codes], (codes, path, costume)
    # Nor does a field that calls the sender a script, beside signs that say nothing alone.
    for number, codes in enumerate(BREACHES):
        assert await points(house, codes, f"script{number}@cust.example", LOGIN, SCRIPT) >= plain[codes], codes
        said = [history_of(house, f"{who}{number}@cust.example") for who in ("plain", "script")]
        assert len({tuple((x.features, x.ends_at is None) for x, _ in one.holds) for one in said}) == 1, codes


async def test_prop_idempotent(house: House) -> None:
    """Whatever is sent and tried again, whenever: no second strike, sanction, hold, notice or task comes of a retry."""
    chance = random.Random(11)
    sent: list[tuple[bytes, tuple[str, ...], tuple[str, ...], str]] = []
    for number in range(EXAMPLES * 3):
        login = f"u{chance.randint(0, 2)}@cust.example"
        if sent and chance.random() < 0.6:
            mail = chance.choice(sent[-4:])
            before = (unshown(history_of(house, mail[3])), len(await house.engine.pending()))
            await submit(house, *mail)
            after = (unshown(history_of(house, mail[3])), len(await house.engine.pending()))
            assert after == before, mail[1]
        else:
            to = tuple(f"{number}.{n}@other.example" for n in range(chance.choice((1, 60, 120))))
            mail = (letter(f"s{number}", sender=login), chance.choice(BREACHES), to, login)
            known = house.engine.run(lambda txn, login=login: txn.find_account(login))
            last = history_of(house, login) if known is not None else None
            await submit(house, *mail)
            # What a suspension refused unseen, or advice alone, is judged when it comes again: that is no retry yet.
            if history_of(house, login) != last:
                sent.append(mail)
            if chance.random() < 0.5:
                await house.notice_received()
        house.clock.advance(chance.choice((1.0, 60.0, 3600.0, 20 * 3600.0)))
    for n in range(3):
        imposed = [x.imposed for x in history_of(house, f"u{n}@cust.example").sanctions]
        keys = [(x.incident_id, x.step) for x in imposed]
        assert len(keys) == len(set(keys))


async def test_prop_contestable_while_counting(house: House) -> None:
    """Whatever counts, its window is open and its evidence is kept for a month longer."""
    chance = random.Random(13)
    terms = house.terms()
    counted = 0
    for number in range(EXAMPLES):
        to = tuple(f"{number}.{n}@other.example" for n in range(chance.choice((1, 120))))
        await submit(house, letter(f"s{number}", sender=LOGIN), chance.choice(BREACHES), to, LOGIN)
        if chance.random() < 0.7:
            await house.notice_received()
        house.clock.advance(chance.choice((1, 8, 30)) * DAY)
    history = history_of(house, LOGIN)
    kept = {x.transaction_id: x for x in house.engine.run(lambda txn: txn.evidence_of(history.account_id))}
    records = house.engine.run(lambda txn: txn.records(history.account_id))
    acts = [x for x in records if isinstance(x, r.ViolationRecorded)]
    start = history.incidents[0].opened.at
    for days in range(0, 800, 9):
        at = start + timedelta(days=days, minutes=5)
        open_ones = {x.incident.opened.incident_id for x in contestable(history, terms, at)}
        for incident in history.incidents:
            if strike_at(incident, history, at) is None:
                continue
            counted += 1
            incident_id = incident.opened.incident_id
            assert incident_id in open_ones
            mine = [x for x in acts if x.incident_id == incident_id]
            assert mine
            assert all(kept[x.transaction_id].retention_until >= at + timedelta(days=30) for x in mine)
    assert counted > EXAMPLES


async def test_what_a_graver_act_joins_is_kept_as_long(house: House) -> None:
    """Suspicion first, then a known page, one incident: the strike counts a year, and so long lasts the proof."""
    for number, codes in enumerate((BREACHES[5], BREACHES[1], BREACHES[5])):
        await submit(house, letter(f"s{number}", sender=LOGIN), codes, (f"{number}@other.example",), LOGIN)
    history = history_of(house, LOGIN)
    (incident,) = history.incidents
    assert incident.strike is not None
    kept = house.engine.run(lambda txn: txn.evidence_of(history.account_id))
    assert len(kept) == 3
    assert {x.retention_until >= incident.strike.expires_at + timedelta(days=30) for x in kept} == {True}
