"""The milter door against an MTA of the tests' own (MAIL-PATH 4d, 4j.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from filterd.config import Config, ListenerConfig, MilterConfig
from filterd.doors.milter import LISTENER, LOCAL_LISTENER, start_milter
from filterd.doors.milter_message import MAX_FIELDS, MAX_HEADER_BYTES
from filterd.doors.serving import DoorServer
from filterd.doors.smtp_data import ABSURD_TIMES
from filterd.doors.smtp_settings import DEFAULT_BOUNDS, Bounds
from filterd.errors import LedgerUnavailable, PeerError
from filterd.mail.address import parse_forward_path
from filterd.model.reply import Reply
from filterd.model.session import Door
from filterd.pipeline.headers import edits
from filterd.ports import Answer, HeaderEdits, Intake
from tests.dialogs.house import FakeGate
from tests.kit import mta as mta_kit
from tests.kit.mta import ALL_STEPS, MilterClosed, Mta
from tests.kit.waiting import soon

pytestmark = pytest.mark.slow

MAIL = b"From: a@example.com\r\nSubject:  two blanks\r\n\tfolded\r\nX-None:none\r\n\r\nbody\r\n..\r\n"
SUSPENDED = Reply(code=550, enhanced="5.7.13", text="Account suspended\nSee 100% of it")
ACCEPT, CONTINUE = (b"a", b""), b"c"
LOGIN = (("{auth_authen}", "a@example.com"), ("{auth_type}", "PLAIN"))


@dataclass
class OpenDoor:
    server: DoorServer
    gate: FakeGate
    errors: list[BaseException]

    async def mta(self, **offer: int) -> Mta:
        return await mta_kit.connect(self.server.port, **offer)


@asynccontextmanager
async def open_door(
    gate: FakeGate | None = None, *, bounds: Bounds = DEFAULT_BOUNDS, progress_s: float = 60, **keys: object
) -> AsyncIterator[OpenDoor]:
    gate, errors = gate or FakeGate(), []
    config = MilterConfig.model_validate({"address": "inet:127.0.0.1:0"} | keys)
    server = await start_milter(
        config, gate, on_error=lambda _, err: errors.append(err), bounds=bounds, progress_s=progress_s
    )
    try:
        yield OpenDoor(server, gate, errors)
    finally:
        await server.drain(1)


async def begun(mta: Mta, *, macros: tuple[tuple[str, str], ...] = LOGIN, recipients: int = 1) -> None:
    await mta.connect()
    await mta.helo()
    assert await mta.mail(b"<a@example.com>", b"SIZE=100", macros=macros) == CONTINUE
    for i in range(recipients):
        assert await mta.rcpt(b"<b%d@example.org>" % i, b"NOTIFY=NEVER") == CONTINUE


async def test_one_mail() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta, recipients=2)
        assert await mta.message(MAIL) == [ACCEPT]
        (intake,) = door.gate.intakes
        assert intake.raw == MAIL
        session = intake.session
        assert (session.door, session.listener, session.is_trusted_peer) == (Door.MILTER, LISTENER, True)
        assert (session.login, session.login_source) == ("a@example.com", "sasl")
        assert (session.client_address, session.client_port) == ("192.0.2.7", 40_000)
        assert (session.client_name, session.helo) == ("client.example", "client.example")
        envelope = intake.envelope
        assert envelope.reverse_path is not None
        assert envelope.reverse_path.address == "a@example.com"
        assert envelope.parameters == (b"SIZE=100",)
        assert [f.path.address for f in envelope.forward_paths] == ["b0@example.org", "b1@example.org"]
        assert envelope.forward_paths[0].parameters == (b"NOTIFY=NEVER",)
        assert [len(session.id) > 3 for session, _, _ in door.gate.admitted] == [True, True]
        await soon(lambda: len(door.gate.deliveries) == 1)
        ((transaction, reply, refused),) = door.gate.deliveries
        assert (transaction, reply.code, reply.text, refused) == ("t_1", 250, "queued as 4XyZ", 0)
        assert door.errors == []


# --- versions and what was agreed on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
async def test_every_version(version: int) -> None:
    # Before version 6 there were eight and nine steps, and no list of macros.
    steps = {2: 0x7F, 3: 0x1FF, 4: 0x3FF, 5: 0x3FF, 6: ALL_STEPS}[version]
    async with open_door() as door:
        mta = await door.mta(version=version, actions=0x1FF if version == 6 else 0x3F, steps=steps)
        assert mta.agreed_version == version
        assert mta.agreed_steps & ~steps == 0
        assert bool(mta.wanted_macros) is (version == 6)
        await begun(mta)
        assert await mta.message(MAIL) == [ACCEPT]
        (intake,) = door.gate.intakes
        if version == 6:
            assert intake.raw == MAIL
        else:
            # Without HDR_LEADSPC the MTA takes one blank, and none can be told from one.
            assert intake.raw == MAIL.replace(b"X-None:none", b"X-None: none")


async def test_a_later_version_is_answered_with_ours() -> None:
    async with open_door() as door:
        mta = await door.mta(version=7, actions=0xFFFF, steps=0x3FFFFFFF)
        assert mta.agreed_version == 6
        assert mta.agreed_actions & ~0x1FF == 0
        assert mta.agreed_steps & ~ALL_STEPS == 0


async def test_nothing_is_asked_for_that_was_not_offered() -> None:
    async with open_door() as door:
        mta = await door.mta(actions=0x11, steps=0)
        assert (mta.agreed_actions, mta.agreed_steps, mta.wanted_macros) == (0x11, 0, {})
        await begun(mta)
        assert await mta.message(MAIL) == [ACCEPT]


@pytest.mark.parametrize("actions", [0x1FF & ~0x1, 0x1FF & ~0x10])
async def test_an_mta_that_keeps_its_header_to_itself_is_left(actions: int) -> None:
    async with open_door() as door:
        with pytest.raises(MilterClosed):
            await door.mta(actions=actions)
        assert [type(err) for err in door.errors] == [PeerError]


async def test_the_macros_we_live_on_are_asked_for() -> None:
    async with open_door() as door:
        mta = await door.mta()
        assert "{auth_authen}" in mta.wanted_macros[2].split()
        assert "{rcpt_mailer}" in mta.wanted_macros[3].split()
        assert mta.wanted_macros[5].split() == ["i"]


# --- who is it --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("macros", "login"),
    [
        ((), None),
        ((("{auth_authen}", ""),), None),
        ((("auth_authen", "A@Example.COM"),), "a@example.com"),
        ((("{auth_authen}", "a"),), "a@corp.example"),
    ],
)
async def test_the_login(macros: tuple[tuple[str, str], ...], login: str | None) -> None:
    async with open_door(login_domain="corp.example") as door:
        mta = await door.mta()
        await begun(mta, macros=macros)
        await mta.message(MAIL)
        assert door.gate.intakes[0].session.login == login


async def test_a_login_that_cannot_be_one_waits() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await mta.connect()
        assert await mta.mail(b"<a@example.com>", macros=(("{auth_authen}", "a b@@"),)) == b"t"
        assert [type(err) for err in door.errors] == [PeerError]
        assert door.gate.senders == []


async def test_a_login_does_not_outlive_its_message() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta)
        await mta.message(MAIL)
        assert await mta.mail(b"<x@example.net>") == CONTINUE
        await mta.rcpt(b"<b@example.org>")
        await mta.message(MAIL)
        assert [intake.session.login for intake in door.gate.intakes] == ["a@example.com", None]


@pytest.mark.parametrize(
    ("name", "address", "expected"),
    [
        ("unknown", "192.0.2.7", (None, "192.0.2.7")),
        ("[192.0.2.7]", "192.0.2.7", (None, "192.0.2.7")),
        ("x.example", "IPv6:2001:db8::1", ("x.example", "2001:db8::1")),
        ("x.example", "2001:db8::1", ("x.example", "2001:db8::1")),
        ("x.example", "nonsense", ("x.example", None)),
    ],
)
async def test_the_client(name: str, address: str, expected: tuple[str | None, str | None]) -> None:
    async with open_door() as door:
        mta = await door.mta()
        await mta.connect(name, address)
        await mta.mail(b"<>")
        await mta.rcpt(b"<b@example.org>")
        await mta.message(MAIL)
        (intake,) = door.gate.intakes
        assert (intake.session.client_name, intake.session.client_address) == expected
        assert intake.envelope.reverse_path is None


# --- before DATA ------------------------------------------------------------------------------------------------------


async def test_a_refusal_at_rcpt_leaves_the_others() -> None:
    gate = FakeGate(refusals={"b@example.org": SUSPENDED})
    async with open_door(gate) as door:
        mta = await door.mta()
        await begun(mta, recipients=0)
        said = await mta.rcpt(b"<b@example.org>")
        assert said == b"y550-5.7.13 Account suspended\r\n550 5.7.13 See 100%% of it\0"
        assert await mta.rcpt(b"<abuse@example.com>") == CONTINUE
        await mta.message(MAIL)
        assert [f.path.address for f in gate.intakes[0].envelope.forward_paths] == ["abuse@example.com"]
        assert gate.accepted == [0, 0]


async def test_a_refusal_at_mail() -> None:
    gate = FakeGate(sender_refusal=SUSPENDED)
    async with open_door(gate) as door:
        mta = await door.mta()
        await mta.connect()
        assert (await mta.mail(b"<a@example.com>", macros=LOGIN))[:1] == b"y"
        gate.sender_refusal = None
        assert await mta.mail(b"<a@example.com>", macros=LOGIN) == CONTINUE


async def test_standing_that_cannot_be_known_waits() -> None:
    gate = FakeGate(admit_error=LedgerUnavailable("away"))
    async with open_door(gate) as door:
        mta = await door.mta()
        await begun(mta, recipients=0)
        assert (await mta.rcpt(b"<b@example.org>")).startswith(b"y451 4.3.0 ")
        assert [type(err) for err in door.errors] == [LedgerUnavailable]


async def test_what_the_mta_refuses_itself_is_counted_and_not_asked_about() -> None:
    async with open_door() as door:
        mta = await door.mta()
        assert mta.agreed_steps & 0x800
        await begun(mta)
        rejected = (("{rcpt_mailer}", "error"), ("{rcpt_host}", "5.1.1"), ("{rcpt_addr}", "no such user"))
        assert await mta.rcpt(b"<none@example.org>", macros=rejected) == CONTINUE
        # Refused for something else: it may well exist.
        policy = (("{rcpt_mailer}", "error"), ("{rcpt_host}", "5.7.1"), ("{rcpt_addr}", "access denied"))
        assert await mta.rcpt(b"<list@example.org>", macros=policy) == CONTINUE
        assert await mta.rcpt(b"<c@example.org>", macros=(("{rcpt_mailer}", "smtp"),)) == CONTINUE
        await mta.message(MAIL)
        (intake,) = door.gate.intakes
        assert (intake.unknown_recipients, intake.bad_addresses) == (2, 1)
        assert [f.path.address for f in intake.envelope.forward_paths] == ["b0@example.org", "c@example.org"]


async def test_mail_of_a_local_programme_is_never_refused_at_rcpt() -> None:
    gate = FakeGate(refusals={"b@example.org": SUSPENDED}, sender_refusal=SUSPENDED)
    async with open_door(gate) as door:
        mta = await door.mta()
        # So says Postfix of mail that came by sendmail(1).
        await mta.connect("localhost", "127.0.0.1", 0)
        assert await mta.mail(b"<www@example.com>") == CONTINUE
        assert await mta.rcpt(b"<b@example.org>") == CONTINUE
        assert await mta.message(MAIL) == [ACCEPT]
        assert gate.intakes[0].session.listener == LOCAL_LISTENER
        assert gate.admitted == []


async def test_addresses_that_only_the_mta_understands() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await mta.connect()
        await mta.mail(b"<www-data>")
        await mta.rcpt(b'<a b"@Example.org>')
        await mta.rcpt(b"<a\x01b@example.org>")
        await mta.message(MAIL)
        (intake,) = door.gate.intakes
        assert intake.envelope.reverse_path is not None
        assert intake.envelope.reverse_path.address == "www-data"
        quoted, odd = (f.path for f in intake.envelope.forward_paths)
        # As a next hop takes it, and as the SMTP door would have said it.
        assert quoted == parse_forward_path(b'<"a b\\""@Example.org>')
        assert quoted.raw == b'"a b\\""@Example.org'
        # What no quotes make an address of stays as it came.
        assert (odd.raw, odd.domain) == (b"a\x01b@example.org", "example.org")
        # The gate was asked about the same address.
        assert [path.address for _, _, path in door.gate.admitted] == [quoted.address, odd.address]


async def test_more_recipients_than_a_transaction_may_have_wait_for_another_one() -> None:
    async with open_door(max_recipients=100) as door:
        mta = await door.mta()
        await begun(mta, recipients=100)
        assert await mta.rcpt(b"<c@example.org>") == b"y452 4.5.3 Too many recipients\0"
        assert await mta.message(MAIL) == [ACCEPT]
        # The next transaction begins at none.
        assert await mta.mail(b"<a@example.com>") == CONTINUE
        assert await mta.rcpt(b"<c@example.org>") == CONTINUE
        assert await mta.message(MAIL) == [ACCEPT]
        assert [len(x.envelope.forward_paths) for x in door.gate.intakes] == [100, 1]


async def test_a_local_programme_is_not_kept_to_a_number_of_recipients() -> None:
    async with open_door(max_recipients=100) as door:
        mta = await door.mta()
        await mta.connect("localhost", "127.0.0.1", 0)
        await mta.mail(b"<www@example.com>")
        for i in range(101):
            assert await mta.rcpt(b"<b%d@example.org>" % i) == CONTINUE
        assert await mta.message(MAIL) == [ACCEPT]


# --- after the dot ----------------------------------------------------------------------------------------------------


async def test_edits_come_before_the_answer_and_end_on_top() -> None:
    edits = HeaderEdits(
        added=(b"X-One: 1\r\n", b"X-Two: 2\r\n folded\r\n"), removed=((b"X-Old", 1), (b"x-old", 3), (b"Other", 1))
    )
    raw = b"X-Old: a\r\nX-old: b\r\nOther: o\r\nX-OLD: c\r\nSubject: s\r\n\r\nbody\r\n"
    async with open_door(FakeGate(edits=edits)) as door:
        for leading in (True, False):
            mta = await door.mta(steps=ALL_STEPS if leading else ALL_STEPS & ~0x100000)
            await begun(mta)
            said = await mta.message(raw)
            assert said[-1] == ACCEPT
            assert mta_kit.apply(raw, said, has_leading_space=leading) == (
                b"X-One: 1\r\nX-Two: 2\r\n folded\r\nX-old: b\r\nSubject: s\r\n\r\nbody\r\n"
            )


async def test_five_mails_on_one_connection_keep_their_own_edits() -> None:
    async with open_door() as door:
        mta = await door.mta()
        for i in range(5):
            door.gate.edits = HeaderEdits(added=(b"X-Probe: %d\r\n" % i,))
            await begun(mta)
            assert await mta.message(MAIL) == [(b"i", b"\0\0\0\0X-Probe\0 %d\0" % i), ACCEPT]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(code=550, enhanced="5.7.1", text="No"), (b"y", b"550 5.7.1 No\0")),
        (Reply(code=451, enhanced="4.7.1", text="Later"), (b"y", b"451 4.7.1 Later\0")),
        (Reply(code=250, enhanced="2.0.0", text="Discarded: c_1"), (b"d", b"")),
    ],
)
async def test_the_answer(reply: Reply, said: tuple[bytes, bytes]) -> None:
    async with open_door(FakeGate(reply=reply, edits=HeaderEdits(added=(b"X: y\r\n",)))) as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.message(MAIL) == [said]
        assert door.gate.deliveries == []


async def test_of_mail_taken_in_the_next_hops_place_the_same_is_written_as_of_mail_that_goes_on() -> None:
    gate = FakeGate(reply=Reply(code=250, enhanced="2.0.0", text="Ok"), is_plain=True)
    async with open_door(gate) as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.message(MAIL, queue_id="4XyZ") == [(b"d", b"")]
        await soon(lambda: len(gate.deliveries) == 1)
        assert gate.deliveries == [("t_1", Reply(code=250, enhanced="2.0.0", text="queued as 4XyZ"), 0)]


async def test_the_mta_holds_what_it_is_to_hold_and_hears_so_before_the_last_word() -> None:
    gate = FakeGate(hold="filterd q_" + "0" * 40, edits=HeaderEdits(added=(b"X: y\r\n",)))
    async with open_door(gate, hold_by="mta") as door:
        mta = await door.mta()
        await mta.macros(b"C", [("v", "Postfix 3.7.11")])
        await begun(mta)
        said = await mta.message(MAIL, queue_id="4XyZ12")
        held = (b"q", b"filterd q_" + b"0" * 40 + b"\0")
        assert said == [(b"i", b"\0\0\0\0X\0 y\0"), held, ACCEPT]
        assert [x.queue_id for x in gate.intakes] == ["4XyZ12"]
        # It is not delivered.
        assert gate.deliveries == []
        assert door.errors == []


@pytest.mark.parametrize(
    ("offer", "version", "queue_id", "why"),
    [
        ({"actions": 0x1FF & ~0x20}, "Postfix 3.7.11", "4XyZ12", "SMFIF_QUARANTINE"),
        ({}, "8.17.1.9/8.17.1.9", "3AMKjXyZ012345", "only what Postfix holds"),
        ({}, "Postfix 3.7.11", "ALL", "no queue id"),
    ],
)
async def test_what_the_mta_cannot_hold_we_hold_and_say_so_once(
    offer: dict[str, int], version: str, queue_id: str, why: str
) -> None:
    gate = FakeGate(hold="filterd q_1")
    async with open_door(gate, hold_by="mta") as door:
        mta = await door.mta(**offer)
        await mta.macros(b"C", [("v", version)])
        await begun(mta)
        for _ in range(2):
            assert await mta.message(MAIL, queue_id=queue_id) == [(b"d", b"")]
            await mta.mail(b"<a@example.com>")
            await mta.rcpt(b"<b@example.org>")
        assert [x.queue_id for x in gate.intakes] == [None, None]
        (error,) = door.errors
        assert why in str(error)


def test_whoever_has_the_mta_hold_mail_can_tell_it_to_let_it_go() -> None:
    """A milter cannot release what it had the MTA hold: without the MTA's own programs nothing ever would."""
    with pytest.raises(ValueError, match=r"needs effectors\.mta_queue"):
        Config.model_validate({"milter": {"hold_by": "mta"}})
    effectors = {"mta_queue": {"enabled": True}}
    assert Config.model_validate({"milter": {"hold_by": "mta"}, "effectors": effectors}).milter.hold_by == "mta"


async def test_nobody_holds_for_us_unless_it_is_wanted() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.message(MAIL, queue_id="4XyZ12") == [ACCEPT]
        assert [x.queue_id for x in door.gate.intakes] == [None]


async def test_an_error_of_ours_waits() -> None:
    async with open_door(FakeGate(enforce_error=RuntimeError("boom"))) as door:
        mta = await door.mta()
        await begun(mta)
        ((letter, text),) = await mta.message(MAIL)
        assert letter == b"y"
        assert text.startswith(b"451 4.3.0 ")
        assert b"boom" not in text
        assert [str(err) for err in door.errors] == ["boom"]


async def test_a_long_look_is_told_to_the_mta() -> None:
    seen, go_on = asyncio.Event(), asyncio.Event()

    async def look() -> None:
        seen.set()
        await go_on.wait()

    async with open_door(FakeGate(on_enforce=look), progress_s=0.01) as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.content(MAIL) is None
        await mta.send(b"E")
        await seen.wait()
        assert (await mta.read())[0] == b"p"
        go_on.set()
        letter = b"p"
        while letter == b"p":
            letter, _ = await mta.read()
        assert letter == b"a"


async def test_an_mta_that_leaves_after_the_dot_changes_nothing() -> None:
    seen, go_on = asyncio.Event(), asyncio.Event()

    async def look() -> None:
        seen.set()
        await go_on.wait()

    async with open_door(FakeGate(on_enforce=look), progress_s=0.01) as door:
        mta = await door.mta()
        await begun(mta)
        await mta.content(MAIL)
        await mta.send(b"E")
        await seen.wait()
        mta.close()
        await soon(lambda: door.server.connections == 0)
        go_on.set()
        # It was judged to the end, and nobody knows who has it.
        await soon(lambda: door.gate.failures == [("t_1", "MtaLeft", True)])


async def test_a_body_in_many_pieces_and_with_every_octet() -> None:
    body = bytes(range(256)) * 1000
    raw = b"Subject: x\r\n\r\n" + body.replace(b"\r", b"").replace(b"\n", b"\r\n")
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.message(raw, chunk=1021) == [ACCEPT]
        assert door.gate.intakes[0].raw == raw
        assert not door.gate.intakes[0].is_normalised


async def test_a_body_that_comes_with_the_end() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta)
        await mta.content(b"Subject: x\r\n\r\nfirst\r\n")
        await mta.send(b"E", b"last\r\n")
        assert (await mta.read())[0] == b"a"
        assert door.gate.intakes[0].raw == b"Subject: x\r\n\r\nfirst\r\nlast\r\n"


async def test_a_mail_without_header_and_body() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.end() == [ACCEPT]
        assert door.gate.intakes[0].raw == b"\r\n"


async def test_too_big_a_mail_is_not_kept() -> None:
    async with open_door(max_message_bytes=65_536) as door:
        mta = await door.mta()
        await begun(mta)
        said = await mta.message(b"Subject: x\r\n\r\n" + b"x" * 200_000)
        assert said == [(b"y", b"552 5.3.4 Message too big\0")]
        assert door.gate.intakes == []
        await begun(mta)
        assert await mta.message(MAIL) == [ACCEPT]


@pytest.mark.parametrize(
    "header",
    [b"X-Spam:\r\n" * (MAX_FIELDS + 1), (b"X: " + b"x" * (MAX_HEADER_BYTES // 20) + b"\r\n") * 20],
    ids=["fields", "octets"],
)
async def test_a_header_beyond_all_measure_is_not_kept(header: bytes) -> None:
    """Each field to be taken out costs the MTA a walk through the whole header: Postfix needs minutes for 30,000."""
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.message(header + MAIL) == [(b"y", b"554 5.6.0 Header too big\0")]
        assert door.gate.intakes == []
        await begun(mta)
        assert await mta.message(b"a:\r\n" * (MAX_FIELDS - 3) + MAIL) == [ACCEPT]


async def test_a_header_without_end_is_not_heard_out() -> None:
    """Twelve megabytes of it keep a process busy for a minute."""
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta)
        header = b"".join(len(b"La\0\0").to_bytes(4, "big") + b"La\0\0" for _ in range(ABSURD_TIMES * MAX_FIELDS + 1))
        mta.writer.write(header)
        assert await mta.is_closed()
        assert ["header without end" in str(err) for err in door.errors] == [True]


_FORGED = b"Authentication-Results: mail.example.com; dkim=pass\r\n"


@pytest.mark.parametrize(
    "odd",
    [
        (b"X\x7fY", b" a"),
        (b"X\xe4", b" a"),
        (b"From ", b" a"),
        (b" ", b" a"),
        (b"a b", b" a"),
        (b"X", b" a\n"),
        (b"X", b" a\nno fold"),
        (b"X", b" a\n\nAuthentication-Results: other.example"),
        (b"X", b" a\rAuthentication-Results: other.example"),
        (b"X", b" a\n\rAuthentication-Results: other.example"),
        (b"X", b" a\r"),
        (b"X", b"\n \n"),
        (b"X", b"a\0b"),
    ],
)
async def test_a_field_of_the_mta_is_one_field_for_us(odd: tuple[bytes, bytes]) -> None:
    """Removals are counted: a field that we read as two, or as the end of the header, would save a forged one."""

    class Marks(FakeGate):
        async def enforce(self, intake: Intake) -> Answer:
            answer = await super().enforce(intake)
            found = edits(intake.raw, [], (), "mail.example.com", is_inbound=True)
            return replace(answer, edits=found)

    async with open_door(Marks()) as door:
        mta = await door.mta()
        await begun(mta)
        await mta.ask(b"L", b"\0".join(odd) + b"\0")
        assert await mta.message(_FORGED + MAIL) == [
            (b"m", b"\0\0\0\1Authentication-Results\0\0"),
            ACCEPT,
        ]
        assert door.gate.intakes[0].raw.endswith(_FORGED + MAIL)


async def test_no_room_in_memory() -> None:
    async with open_door(bounds=Bounds(memory_bytes=1000)) as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.message(b"Subject: x\r\n\r\n" + b"x" * 2000) == [
            (b"y", b"452 4.3.1 Insufficient memory, try again later\0")
        ]
        # What was held is given back, also by an abort.
        for _ in range(5):
            await begun(mta)
            await mta.content(b"Subject: x\r\n\r\n" + b"x" * 900)
            await mta.send(b"A")
        await begun(mta)
        assert await mta.message(MAIL) == [ACCEPT]


async def test_a_loop_is_ended() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta)
        ((letter, text),) = await mta.message(b"Received: x\r\n" * 101 + MAIL)
        assert (letter, text[:10]) == (b"y", b"554 5.4.6 ")


# --- the connection ---------------------------------------------------------------------------------------------------


async def test_abort_forgets_the_message_and_keeps_the_client() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await begun(mta)
        await mta.content(b"Subject: old\r\n\r\nold\r\n")
        await mta.send(b"A")
        assert await mta.mail(b"<c@example.com>", macros=LOGIN) == CONTINUE
        await mta.rcpt(b"<d@example.org>")
        await mta.message(MAIL)
        (intake,) = door.gate.intakes
        assert intake.raw == MAIL
        assert [f.path.address for f in intake.envelope.forward_paths] == ["d@example.org"]
        assert intake.session.client_address == "192.0.2.7"


@pytest.mark.parametrize("negotiates_again", [False, True])
async def test_the_next_client_on_the_same_connection_inherits_nothing(negotiates_again: bool) -> None:
    async with open_door() as door:
        mta = await door.mta()
        await mta.macros(b"C", [("{auth_authen}", "sneaky@example.com")])
        await begun(mta)
        await mta.message(MAIL)
        await mta.send(b"K")
        if negotiates_again:
            await mta.negotiate()
        assert await mta.mail(b"<x@example.net>") == CONTINUE
        await mta.rcpt(b"<b@example.org>")
        await mta.message(MAIL)
        session = door.gate.intakes[1].session
        assert (session.login, session.client_address, session.helo) == (None, None, None)


async def test_quit_ends_the_connection_without_a_word() -> None:
    async with open_door() as door:
        mta = await door.mta()
        await mta.send(b"Q")
        assert await mta.is_closed()
        assert door.errors == []


@pytest.mark.parametrize(
    "sequence",
    [
        [(b"R", b"<b@example.org>\0")],
        [(b"L", b"A\0b\0")],
        [(b"E", b"")],
        [(b"M", b"<a@example.com>\0"), (b"E", b"")],
        [(b"M", b"<a@example.com>\0"), (b"M", b"<a@example.com>\0")],
        [(b"M", b"<" + b"a" * 5000 + b">\0")],
    ],
    ids=["rcpt first", "header first", "end first", "no recipients", "mail twice", "no end of address"],
)
async def test_a_wrong_order_ends_the_connection(sequence: list[tuple[bytes, bytes]]) -> None:
    async with open_door() as door:
        mta = await door.mta()
        for letter, data in sequence[:-1]:
            await mta.ask(letter, data)
        await mta.send(*sequence[-1])
        assert await mta.is_closed()
        assert [type(err) for err in door.errors] == [PeerError]
        assert door.gate.intakes == []


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc", b"EHLO x\r\n"])
async def test_another_protocol_is_closed(octets: bytes) -> None:
    async with open_door() as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.server.port)
        writer.write(octets)
        assert await Mta(reader, writer).is_closed()


async def test_a_peer_nobody_trusts_is_closed() -> None:
    async with open_door(trusted_peers=["192.0.2.0/24"]) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.server.port)
        assert await Mta(reader, writer).is_closed()
        assert [type(err) for err in door.errors] == [PeerError]


async def test_more_connections_than_there_may_be_are_closed() -> None:
    async with open_door(max_connections=1) as door:
        first = await door.mta()
        reader, writer = await asyncio.open_connection("127.0.0.1", door.server.port)
        assert await Mta(reader, writer).is_closed()
        # The MTA's log says that we hung up; ours says why, and which key to turn.
        assert ["max_connections" in str(err) for err in door.errors] == [True]
        await begun(first)
        assert await first.message(MAIL) == [ACCEPT]


async def test_draining_ends_idle_connections_and_lets_a_mail_in_hand_finish() -> None:
    seen, go_on = asyncio.Event(), asyncio.Event()

    async def look() -> None:
        seen.set()
        await go_on.wait()

    async with open_door(FakeGate(on_enforce=look)) as door:
        idle, busy = await door.mta(), await door.mta()
        await begun(busy)
        await busy.content(MAIL)
        await busy.send(b"E")
        await seen.wait()
        draining = asyncio.create_task(door.server.drain(60))
        assert await idle.is_closed()
        go_on.set()
        assert (await busy.read())[0] == b"a"
        assert await busy.is_closed()
        assert await draining == 0


@pytest.mark.parametrize(
    ("address", "bind", "port"),
    [
        ("inet:127.0.0.1:10028", "127.0.0.1", 10_028),
        ("inet:10028@127.0.0.1", "127.0.0.1", 10_028),
        ("inet6:[::1]:10028", "::1", 10_028),
        ("inet6:10028@[::1]", "::1", 10_028),
        ("unix:/run/filterd/milter.sock", "unix:/run/filterd/milter.sock", 0),
        ("local:/run/filterd/milter.sock", "unix:/run/filterd/milter.sock", 0),
    ],
)
def test_addresses_as_postfix_and_sendmail_write_them(address: str, bind: str, port: int) -> None:
    config = MilterConfig(address=address)
    assert (config.bind, config.port) == (bind, port)


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:1", "inet:x", "inet:1@", "inet:h:99999", "unix:relative", "tcp:h:1"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ValueError):
        MilterConfig(address=address)


@pytest.mark.parametrize("name", ["milter", "milter-local", "policy", "socketmap"])
def test_no_listener_bears_the_name_of_another_door(name: str) -> None:
    """Its mail would go by that door's rule: a login that this one believes would be nobody's there."""
    with pytest.raises(ValueError, match="name of another door"):
        ListenerConfig(name=name)
