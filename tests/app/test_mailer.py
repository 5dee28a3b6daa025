"""Mail of filterd's own goes out signed where there is a key for its sender's domain, whichever worker sends it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

import pytest

from filterd.app.mailer import CurrentSigner, SigningMailer
from filterd.app.policy import read_policy
from filterd.app.processes import run_ledger
from filterd.clients.sink import Sink, start_sink
from filterd.config import Config, NextHopConfig
from filterd.errors import ModelError
from filterd.mail.compose import compose
from filterd.mail.parse import parse
from filterd.model.about import NOTHING
from filterd.model.reply import Reply
from filterd.pipeline.notice_events import announce_event
from tests.checks.dkim_oracle import ours as verified
from tests.checks.dkim_oracle import theirs, words
from tests.kit.clock import FrozenClock
from tests.kit.signing_keys import ed25519_key, record, rsa_key, write
from tests.kit.waiting import soon

DOMAIN, BELOW = "provider.example", "mail.provider.example"
ZONE = {
    f"r._domainkey.{DOMAIN}": {"TXT": [record(rsa_key())]},
    f"e._domainkey.{DOMAIN}": {"TXT": [record(ed25519_key())]},
}
NOW = datetime.now(UTC)


class Post:
    """Fulfils ports.Mailer: keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, str, str | None]] = []

    async def send(self, raw: bytes, recipient: str, reverse_path: str | None = None) -> Reply:
        self.sent.append((raw, recipient, reverse_path))
        return Reply(code=250, enhanced="2.0.0", text="Ok")


def tables(folder: Path, **more: Any) -> dict[str, Any]:
    rsa, ed = write(folder / "r.pem", rsa_key()), write(folder / "e.pem", ed25519_key())
    return {
        "key": [
            {"domain": DOMAIN, "selector": "r", "file": str(rsa)} | more,
            {"domain": DOMAIN, "selector": "e", "file": str(ed)} | more,
        ]
    }


def config(folder: Path, **more: Any) -> Config:
    return Config.model_validate({"signing": tables(folder, **more), "node": {"state_dir": str(folder)}})


def letter(sender: str, text: str = "Your mail was held.\nAll is well.") -> bytes:
    return compose(
        sender=sender,
        sender_name="Mail desk 邮件",
        to=["alice@cust.example"],
        subject="Held 邮件",
        text=text,
        message_id=f"<1@{DOMAIN}>",
        date=NOW,
    )


def mailer(post: Post, given: Config) -> SigningMailer:
    return SigningMailer(post, CurrentSigner(lambda: given.signing), FrozenClock(NOW))


@pytest.mark.parametrize("sender", [f"desk@{DOMAIN}", f"desk@{BELOW}"])
async def test_it_is_signed_with_each_kind_of_key_and_holds(tmp_path: Path, sender: str) -> None:
    post = Post()
    raw = letter(sender, "您好\nlone line ends\n")
    assert (await mailer(post, config(tmp_path)).send(raw, "alice@cust.example", "desk@x.example")).code == 250
    ((said, recipient, back),) = post.sent
    assert (recipient, back) == ("alice@cust.example", "desk@x.example")
    assert words(await verified(said, ZONE)) == ["pass", "pass"]
    assert theirs(said, ZONE) == [True, True]
    assert [r.properties[0] for r in (await verified(said, ZONE)).results] == [("header.d", DOMAIN)] * 2
    # Nothing but the signatures is added, and a second From would be seen.
    assert said.endswith(raw)
    assert "pass" not in words(await verified(b"From: boss@provider.example\r\n" + said, ZONE))


async def test_lone_line_ends_are_mended_before_they_are_signed(tmp_path: Path) -> None:
    post = Post()
    await mailer(post, config(tmp_path)).send(letter(f"desk@{DOMAIN}").replace(b"\r\n", b"\n"), "a@cust.example")
    ((said, _, _),) = post.sent
    assert words(await verified(said, ZONE)) == ["pass", "pass"]
    assert b"\n" not in said.replace(b"\r\n", b"")


@pytest.mark.parametrize("sender", ["desk@else.example", f"desk@not{DOMAIN}", "desk@example"])
async def test_without_a_key_for_its_domain_it_goes_out_as_it_is(tmp_path: Path, sender: str) -> None:
    post, raw = Post(), letter(sender)
    await mailer(post, config(tmp_path)).send(raw, "a@cust.example")
    assert post.sent == [(raw, "a@cust.example", None)]


async def test_keys_rotate_by_the_day_and_change_with_the_policy(tmp_path: Path) -> None:
    post, given = Post(), {"now": config(tmp_path, since=str(date.today() + timedelta(days=3)))}
    signer = CurrentSigner(lambda: given["now"].signing)
    desk = SigningMailer(post, signer, FrozenClock(NOW))
    await desk.send(letter(f"desk@{DOMAIN}"), "a@cust.example")
    assert not post.sent[-1][0].startswith(b"DKIM-Signature:")
    given["now"] = config(tmp_path)
    (tmp_path / "r.pem").chmod(0o644)
    with pytest.raises(ModelError, match="everybody may read"):
        await desk.send(letter(f"desk@{DOMAIN}"), "a@cust.example")
    (tmp_path / "r.pem").chmod(0o600)
    await desk.send(letter(f"desk@{DOMAIN}"), "a@cust.example")
    assert words(await verified(post.sent[-1][0], ZONE)) == ["pass", "pass"]
    # The files were read; what becomes of them now stops no mail.
    (tmp_path / "r.pem").unlink()
    await desk.send(letter(f"desk@{DOMAIN}"), "a@cust.example")
    assert words(await verified(post.sent[-1][0], ZONE)) == ["pass", "pass"]


@pytest.mark.slow
async def test_a_running_node_signs_its_notices(tmp_path: Path) -> None:
    """The whole ledger process: from a promise in the outbox to the next hop."""
    given = Config.model_validate(
        {
            "signing": tables(tmp_path),
            "node": {"state_dir": str(tmp_path / "state")},
            "notices": {"sender": f"Mail desk <desk@{DOMAIN}>"},
            "clamd": {"enabled": False},
            "http": {"enabled": False},
        }
    )
    async with AsyncExitStack() as stack:
        sink: Sink = await start_sink()
        stack.push_async_callback(sink.close)
        half = await run_ledger(read_policy(given), stack, NextHopConfig(address=sink.address))
        facts: dict[str, Any] = {"complaint_id": "c_1", "received_at": NOW}
        await half.engine.submit(
            lambda txn: announce_event(txn, "complaint_acknowledged", None, facts, recipient="who@else.example"),
            NOTHING,
        )
        await soon(lambda: sink.messages, "the notice is out")
        raw = sink.messages[0].raw
    assert words(await verified(raw, ZONE)) == ["pass", "pass"]
    assert BytesHeaderParser().parsebytes(raw)["From"].endswith(f"<desk@{DOMAIN}>")
    assert parse(raw).first("auto-submitted") is not None
