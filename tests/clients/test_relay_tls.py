"""TLS towards the next hop: who must show what, what is said again, what must not be believed (RFC 3207, RFC 8689)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from filterd.clients.relay import NextHopRelay
from filterd.clients.relay_connection import Address
from filterd.clients.relay_session import NextHopSession
from filterd.config import NextHopConfig
from filterd.errors import ConfigError, PortError
from filterd.mail.address import parse_forward_path
from filterd.model.reply import Reply
from filterd.model.session import ForwardPath
from tests.dialogs.tls import write_certificate
from tests.kit.hop import Hop, Misbehave, Talk, hangs_up, is_silent, running, says
from tests.kit.loops import let_run, settled, turn
from tests.kit.waiting import soon

# No limit is met but by turning the time.
pytestmark = [pytest.mark.turned, pytest.mark.slow]

RCPT = ForwardPath(path=parse_forward_path(b"<b@example.org>"))
RAW = b"Subject: x\r\n\r\nbody\r\n"
LEVELS = ("may", "encrypt", "verify")


def server(folder: Path, name: str = "hop.example") -> ssl.SSLContext:
    """The next hop's side, with a certificate made for it: `folder/tls.crt`, which vouches for itself."""
    folder.mkdir(exist_ok=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_certificate(folder, name=name))
    return context


@asynccontextmanager
async def relay_to(hop: Hop, **keys: Any) -> AsyncIterator[NextHopRelay]:
    async with running(hop):
        given = {"address": hop.address, "connect_timeout_s": 50, "helo": "us.example"} | keys
        relay = NextHopRelay(NextHopConfig.model_validate(given))
        try:
            yield relay
        finally:
            let_run()
            await relay.close()


async def deliver(relay: NextHopRelay, *parameters: bytes) -> Reply:
    lease: NextHopSession = await relay.lease()
    try:
        reply = await lease.mail(None, parameters)
        if not reply.is_positive:
            return reply
        assert (await lease.rcpt(RCPT)).is_positive
        (reply,) = await lease.data(RAW)
        return reply
    finally:
        await lease.close()


@pytest.mark.parametrize("level", LEVELS)
async def test_mail_goes_through_tls_and_ehlo_is_said_again(tmp_path: Path, level: str) -> None:
    hop = Hop(context=server(tmp_path), tls_extensions=("SIZE 1",))
    keys = {"tls_name": "hop.example", "tls_ca_file": tmp_path / "tls.crt"} if level == "verify" else {}
    async with relay_to(hop, tls=level, **keys) as relay:
        assert (await deliver(relay)).code == 250
        assert hop.heard[:4] == [b"EHLO us.example", b"STARTTLS", b"EHLO us.example", b"MAIL FROM:<>"]
        assert [mail.is_tls for mail in hop.taken] == [True]
        lease = await relay.lease()
        # What was offered in clear text is forgotten (RFC 3207 §4.2), and the connection is used again.
        assert lease.is_secured
        assert lease.extensions["SIZE"] == "1"
        assert "STARTTLS" not in lease.extensions
        await lease.close()
        assert hop.connections == 1


async def test_a_large_mail_through_tls_is_exact(tmp_path: Path) -> None:
    hop = Hop(context=server(tmp_path))
    async with relay_to(hop, tls="encrypt") as relay:
        raw = b".\r\n" + bytes(range(1, 10)) * 8_000 + b"\r\n" + b"x" * 500_000 + b"\r\n.\r\n"
        lease = await relay.lease()
        await lease.mail(None, ())
        await lease.rcpt(RCPT)
        assert [reply.code for reply in await lease.data(raw)] == [250]
        await lease.close()
        assert [mail.raw for mail in hop.taken] == [raw]


async def test_none_means_none(tmp_path: Path) -> None:
    hop = Hop(context=server(tmp_path))
    async with relay_to(hop) as relay:
        assert (await deliver(relay)).code == 250
        assert b"STARTTLS" not in hop.verbs()


@pytest.mark.parametrize("how", ["not offered", "454", "handshake"])
@pytest.mark.parametrize("level", LEVELS)
async def test_without_tls_no_mail_but_for_may(tmp_path: Path, level: str, how: str) -> None:
    """Whoever sits on the line can take STARTTLS away, or make it fail."""

    async def fail(talk: Talk) -> None:
        talk.say("220 go ahead")
        talk.writer.close()

    hop = Hop(context=None if how == "not offered" else server(tmp_path))
    hop.misbehave = {"454": {b"STARTTLS": says(b"454 4.7.0 not now\r\n")}, "handshake": {b"STARTTLS": fail}}.get(
        how, {}
    )
    async with relay_to(hop, tls=level) as relay:
        if level == "may":
            assert (await deliver(relay)).code == 250
            assert [mail.is_tls for mail in hop.taken] == [False]
            assert hop.connections == (2 if how == "handshake" else 1)
        else:
            with pytest.raises(PortError):
                await relay.lease()
            assert hop.connections == 1
            assert b"MAIL" not in hop.verbs()


@pytest.mark.parametrize(
    "extra", [b"250 2.0.0 Ok\r\n", b"25", b"250-hop.example\r\n250 PIPELINING\r\n", b"\x16\x03\x01"]
)
@pytest.mark.parametrize("level", LEVELS)
async def test_words_in_clear_text_behind_starttls_are_never_an_answer(
    tmp_path: Path, level: str, extra: bytes
) -> None:
    hop = Hop(context=server(tmp_path), extra=extra)
    async with relay_to(hop, tls=level) as relay:
        with pytest.raises(PortError, match=r"clear text|broke SMTP"):
            await relay.lease()
        # Also with `may`: this is no server without TLS.
        assert hop.connections == 1
        assert hop.taken == []


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"tls_name": "hop.example", "tls_ca_file": "its"}, None),
        # The host of the address: 127.0.0.1, which the certificate names.
        ({"tls_ca_file": "its"}, None),
        ({"tls_name": "other.example", "tls_ca_file": "its"}, "other.example"),
        ({"tls_name": "hop.example", "tls_ca_file": "another"}, "self-signed|self signed"),
        ({"tls_name": "hop.example"}, "self-signed|self signed"),
    ],
)
async def test_verify_looks_at_root_and_name(tmp_path: Path, keys: dict[str, Any], error: str | None) -> None:
    hop = Hop(context=server(tmp_path / "its"))
    server(tmp_path / "another")
    if "tls_ca_file" in keys:
        keys = keys | {"tls_ca_file": tmp_path / keys["tls_ca_file"] / "tls.crt"}
    async with relay_to(hop, tls="verify", **keys) as relay:
        if error is None:
            assert (await deliver(relay)).code == 250
        else:
            with pytest.raises(PortError, match=error):
                await relay.lease()
            assert b"MAIL" not in hop.verbs()


async def test_a_new_certificate_counts_from_the_next_connection(tmp_path: Path) -> None:
    ours = tmp_path / "ours.crt"
    hop = Hop(context=server(tmp_path / "old"))
    ours.write_bytes((tmp_path / "old/tls.crt").read_bytes())
    async with relay_to(hop, tls="verify", tls_ca_file=ours, tls_name="hop.example") as relay:
        assert (await relay.lease()).is_secured
        hop.context = server(tmp_path / "new")
        with pytest.raises(PortError):
            await relay.lease()
        # Half written: the last good one stays in use, and no error is ours.
        ours.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
        with pytest.raises(PortError):
            await relay.lease()
        ours.write_bytes((tmp_path / "new/tls.crt").read_bytes())
        assert (await relay.lease()).is_secured


async def test_our_own_certificate_where_it_is_asked_for(tmp_path: Path) -> None:
    context = server(tmp_path)
    ours = tmp_path / "ours"
    ours.mkdir()
    chain, key = write_certificate(ours, name="us.example")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(chain)
    hop = Hop(context=context)
    async with relay_to(hop, tls="encrypt", tls_certificate=chain, tls_key=key) as relay:
        assert (await deliver(relay)).code == 250
    async with relay_to(hop, tls="encrypt") as relay:
        with pytest.raises(PortError):
            await deliver(relay)
    assert len(hop.taken) == 1


@pytest.mark.parametrize(
    ("key", "content", "text"),
    [
        ("tls_ca_file", None, "cannot be read"),
        ("tls_ca_file", b"nothing", "no PEM"),
        ("tls_certificate", None, "cannot be read"),
        ("tls_certificate", b"nothing", "not a PEM"),
    ],
)
def test_files_that_cannot_be_used_stop_a_start(tmp_path: Path, key: str, content: bytes | None, text: str) -> None:
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    given = {"address": "127.0.0.1:25000", "tls": "verify", key: file}
    with pytest.raises(ConfigError, match=text) as caught:
        NextHopRelay(NextHopConfig.model_validate(given))
    assert (caught.value.file, caught.value.key) == (file, f"next_hop.{key}")


@pytest.mark.parametrize("level", LEVELS)
async def test_a_handshake_without_end(tmp_path: Path, level: str) -> None:
    """`may` goes without TLS then, within the time there is for getting ready."""

    async def stall(talk: Talk) -> None:
        talk.say("220 go ahead")
        await is_silent(talk)

    hop = Hop(context=server(tmp_path), misbehave={b"STARTTLS": stall})
    async with relay_to(hop, tls=level, command_timeout_s=30) as relay:
        delivery = asyncio.create_task(deliver(relay))
        await soon(lambda: b"STARTTLS" in hop.verbs())
        await settled()
        await turn(15)
        if level == "may":
            assert (await delivery).code == 250
            assert [mail.is_tls for mail in hop.taken] == [False]
        else:
            with pytest.raises(PortError):
                await delivery


@pytest.mark.parametrize("misbehave", [hangs_up, says(b"421 4.3.2 closing\r\n"), says(b"\x00\r\n")])
async def test_trouble_behind_the_handshake(tmp_path: Path, misbehave: Misbehave) -> None:
    async def in_tls(talk: Talk) -> None:
        if talk.is_tls:
            await misbehave(talk)
        else:
            talk.say("250-hop.example", "250 STARTTLS")

    hop = Hop(context=server(tmp_path), misbehave={b"EHLO": in_tls, b"HELO": misbehave})
    async with relay_to(hop, tls="may") as relay:
        with pytest.raises(PortError):
            await relay.lease()


# --- REQUIRETLS -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "offered", "code"),
    [
        ("verify", ("REQUIRETLS",), 250),
        ("verify", (), 550),
        # RFC 8689 §4.2.1: the certificate must have been looked at.
        ("encrypt", ("REQUIRETLS",), 550),
        ("may", ("REQUIRETLS",), 550),
    ],
)
async def test_requiretls_only_where_it_will_be_kept(
    tmp_path: Path, level: str, offered: tuple[str, ...], code: int
) -> None:
    hop = Hop(context=server(tmp_path), tls_extensions=offered)
    keys = {"tls_name": "hop.example", "tls_ca_file": tmp_path / "tls.crt"} if level == "verify" else {}
    async with relay_to(hop, tls=level, **keys) as relay:
        reply = await deliver(relay, b"BODY=8BITMIME", b"RequireTLS")
        assert reply.code == code
        if code == 250:
            assert [mail.mail for mail in hop.taken] == [b"FROM:<> BODY=8BITMIME RequireTLS"]
        else:
            assert (reply.enhanced, reply.text) == ("5.7.30", "REQUIRETLS support required")
            assert b"MAIL" not in hop.verbs()
            # It is about this mail alone.
            assert (await deliver(relay)).code == 250
            assert hop.connections == 1


async def test_requiretls_on_this_machine_is_the_next_hops_to_answer() -> None:
    """MAIL-PATH 4a: behind a proxy filter parameters are handed on as they came."""
    hop = Hop(replies={b"MAIL": "555 5.5.4 Unsupported option: REQUIRETLS"})
    async with relay_to(hop) as relay:
        assert (await deliver(relay, b"REQUIRETLS")).code == 555
        assert hop.heard[-1] == b"MAIL FROM:<> REQUIRETLS"


@pytest.mark.parametrize(
    ("address", "is_local"),
    [
        ("unix:/run/x", True),
        ("127.0.0.1:25", True),
        ("localhost:25", True),
        ("[::1]:25", True),
        ("192.0.2.1:25", False),
        ("mail.example:25", False),
    ],
)
def test_what_stays_on_this_machine(address: str, is_local: bool) -> None:
    assert Address.parse(address).is_local is is_local


async def test_requiretls_leaves_this_machine_through_tls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    hop = Hop(extensions=("REQUIRETLS",))
    async with relay_to(hop) as relay:
        monkeypatch.setattr(Address, "is_local", False)
        assert (await deliver(relay, b"REQUIRETLS")).enhanced == "5.7.30"


@pytest.mark.parametrize(
    "keys",
    [
        {"address": "sink", "tls": "encrypt"},
        {"address": "sink", "protocol": "lmtp"},
        {"tls": "none", "tls_name": "hop.example"},
        {"tls": "encrypt", "tls_ca_file": "/x"},
        {"tls": "encrypt", "tls_key": "/x"},
        {"tls": "verify", "address": "unix:/run/x"},
        {"protocol": "lmtp", "address": "127.0.0.1:25"},
        {"tls": "sometimes"},
    ],
)
def test_keys_that_do_not_fit(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        NextHopConfig.model_validate({"address": "127.0.0.1:2525"} | keys)
