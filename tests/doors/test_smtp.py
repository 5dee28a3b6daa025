"""The SMTP door as its clients see it: greeting, EHLO, grammar, replies, and mail through to the next hop."""

from __future__ import annotations

import re

import pytest

from filterd.model.reply import Reply
from tests.dialogs.house import FakeGate, open_house

pytestmark = pytest.mark.slow

REFUSAL = Reply(code=550, enhanced="5.7.13", text="Account suspended")
UTF8 = "<用户@例子.中国>"


async def test_a_mail_goes_through_and_the_reply_is_the_next_hops() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        assert await talk.envelope() == ["250 2.1.0 Ok", "250 2.1.5 Ok"]
        port = house.sink.address.rpartition(":")[2]
        assert await talk.data(b"Subject: x\r\n\r\nbody\r\n") == (
            f"250 2.0.0 from MTA(smtp:[127.0.0.1]:{port}): 250 2.0.0 Ok: queued as 000001"
        )
        assert house.raws == [b"Subject: x\r\n\r\nbody\r\n"]
        assert [(t, r.code, n) for t, r, n in house.gate.deliveries] == [("t_1", 250, 0)]
        assert await talk.ask("QUIT") == "221 2.0.0 Bye"
        assert await talk.ended()
        assert house.errors == []


async def test_ehlo_offers_what_there_is() -> None:
    async with open_house() as house, house.dialog() as talk:
        assert (await talk.greeted()).split("\n") == [
            "250-door.example",
            "250-PIPELINING",
            "250-SIZE 52428800",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250-DSN",
            "250-ENHANCEDSTATUSCODES",
            "250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
        ]
        assert await talk.ask("HELO x") == "250 door.example"


async def test_xclient_is_offered_where_it_is_the_attribution_and_the_peer_is_trusted() -> None:
    async with open_house(listener={"attribution": "xclient"}) as house, house.dialog() as talk:
        assert (await talk.greeted()).endswith("\n250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT")
    stranger = {"attribution": "xclient", "trusted_peers": ("192.0.2.0/24",)}
    async with open_house(listener=stranger) as house, house.dialog() as talk:
        assert (await talk.greeted()).endswith("\n250 ENHANCEDSTATUSCODES")
        assert await talk.ask("XCLIENT ADDR=192.0.2.1") == "550 5.7.1 Not authorized"
        assert await talk.ask("XFORWARD ADDR=192.0.2.1") == "550 5.7.1 Not authorized"


# --- the envelope -----------------------------------------------------------------------------------------------------

VERBATIM = [
    ("MAIL FROM:<>", b"MAIL FROM:<>"),
    ("mail from:<A@Example.COM>", b"MAIL FROM:<A@Example.COM>"),
    ("MAIL FROM: <a@b.example>", b"MAIL FROM:<a@b.example>"),
    ("MAIL FROM:a@b.example SIZE=1", b"MAIL FROM:<a@b.example> SIZE=1"),
    ('MAIL FROM:<"a b"@c.example>', b'MAIL FROM:<"a b"@c.example>'),
    (
        "MAIL FROM:<a@b.example> size=10 body=8BitMime ret=hdrs ENVID=aBc+2B AUTH=<> REQUIRETLS X-Own=é",
        "MAIL FROM:<a@b.example> size=10 body=8BitMime ret=hdrs ENVID=aBc+2B AUTH=<> REQUIRETLS X-Own=é".encode(),
    ),
    (f"MAIL FROM:{UTF8} SMTPUTF8", f"MAIL FROM:{UTF8} SMTPUTF8".encode()),
    ("MAIL FROM:<a@b.example>  BODY=7BIT   SIZE=2 ", b"MAIL FROM:<a@b.example> BODY=7BIT SIZE=2"),
]


@pytest.mark.parametrize(("said", "relayed"), VERBATIM)
async def test_mail_and_its_parameters_are_handed_on_verbatim(said: str, relayed: bytes) -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        assert await talk.ask(said) == "250 2.1.0 Ok"
        assert house.commands(b"MAIL") == [relayed]


async def test_rcpt_and_its_parameters_are_handed_on_verbatim() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.ask("MAIL FROM:<> SMTPUTF8")
        said = (
            "RCPT TO:<B@Example.ORG> notify=Success,delay ORCPT=rfc822;A+2Bb@x",
            f"RCPT TO:{UTF8} NOTIFY=NEVER",
            "RCPT TO:<Postmaster>",
        )
        for line in said:
            assert await talk.ask(line) == "250 2.1.5 Ok"
        assert house.commands(b"RCPT") == [line.encode() for line in said]
        assert await talk.data(b"x\r\n")
        envelope = house.gate.intakes[0].envelope
        assert [f.parameters for f in envelope.forward_paths] == [
            (b"notify=Success,delay", b"ORCPT=rfc822;A+2Bb@x"),
            (b"NOTIFY=NEVER",),
            (),
        ]
        assert envelope.reverse_path is None
        assert envelope.parameters == (b"SMTPUTF8",)


BAD_MAIL = [
    "MAIL",
    "MAIL FROM",
    "MAIL FROM:",
    "MAIL LALA: <>",
    "MAIL TO:<a@b.example>",
    "MAIL FROM:<a@b.example",
    "MAIL FROM:<pepe>",
    "MAIL FROM:<any@legitimate.com(a.attack.com>",
    "MAIL FROM:<@relay.example:a@b.example>",
    "MAIL FROM:<a b@c.example>",
    "MAIL FROM:<用户@例子.中国>",
    "MAIL FROM:<" + "x" * 300 + "@c.example>",
    "MAIL FROM:<a@b.example>SIZE=1",
    "MAIL FROM:<a@b.example> SIZE=1 size=2",
    "MAIL FROM:<a@b.example> BODY=7BIT BODY=8BITMIME",
    "MAIL FROM:<a@b.example> SIZE=x",
    "MAIL FROM:<a@b.example> SIZE",
    "MAIL FROM:<a@b.example> SIZE=" + "1" * 21,
    "MAIL FROM:<a@b.example> =x",
    "MAIL FROM:<a@b.example> SMTPUTF8 <c@d.example>",
]


@pytest.mark.parametrize("line", BAD_MAIL)
async def test_what_breaks_the_grammar_is_refused_here(line: str) -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        assert re.fullmatch(r"501 5\.(1\.7|5\.4) .+", await talk.ask(line))
        assert not house.commands(b"MAIL")
        assert await talk.ask("MAIL FROM:<a@b.example>") == "250 2.1.0 Ok"


@pytest.mark.parametrize(
    "line", ["RCPT", "RCPT TO:", "RCPT TO:<>", "RCPT LALA: <>", "RCPT TO:<pepe>", "RCPT TO:<a@b.example> X=1 x=2"]
)
async def test_bad_recipients_are_refused_here(line: str) -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.ask("MAIL FROM:<>")
        assert re.fullmatch(r"501 5\.(1\.3|5\.4) .+", await talk.ask(line))
        assert not house.commands(b"RCPT")


async def test_sequence_and_size() -> None:
    async with open_house(listener={"max_message_bytes": 65_536}) as house, house.dialog() as talk:
        assert (await talk.reply()).startswith("220 ")
        assert await talk.ask("MAIL FROM:<>") == "503 5.5.1 Send EHLO first"
        assert await talk.ask("DATA") == "503 5.5.1 Send EHLO first"
        assert await talk.ask("RCPT TO:<b@example.org>") == "503 5.5.1 Need MAIL first"
        assert await talk.ask("EHLO") == "501 5.5.4 Need one host name or address literal"
        assert await talk.ask("EHLO " + "x" * 256) == "501 5.5.4 Need one host name or address literal"
        await talk.ask("EHLO x")
        assert await talk.ask("DATA") == "503 5.5.1 Need MAIL first"
        assert await talk.ask("MAIL FROM:<> SIZE=65537") == "552 5.3.4 Message too big"
        assert await talk.ask("MAIL FROM:<> SIZE=65536") == "250 2.1.0 Ok"
        assert await talk.ask("MAIL FROM:<>") == "503 5.5.1 Nested MAIL command"
        assert await talk.ask("XFORWARD ADDR=192.0.2.1") == "503 5.5.1 Mail transaction in progress"
        assert await talk.ask("DATA") == "554 5.5.1 No valid recipients"
        assert await talk.ask("RSET now") == "501 5.5.4 This command takes no argument"
        assert await talk.ask("RSET") == "250 2.0.0 Ok"
        assert await talk.ask("NOOP anything") == "250 2.0.0 Ok"
        assert await talk.ask("VRFY a") == "252 2.5.0 Cannot verify, but will take mail and attempt delivery"
        assert await talk.ask("EXPN a") == "502 5.5.1 Command not implemented"
        assert (await talk.ask("HELP")).startswith("214 2.0.0 ")
        assert await talk.ask("AUTH PLAIN x") == "500 5.5.1 Command not recognized"
        assert await talk.ask("STARTTLS") == "500 5.5.1 Command not recognized"
        assert await talk.ask("BDAT 1 LAST") == "500 5.5.1 Command not recognized"
        assert await talk.ask("") == "500 5.5.2 Syntax error"
        assert await talk.ask("Ärger") == "500 5.5.2 Syntax error"
        assert await talk.ask("QUIT now") == "501 5.5.4 This command takes no argument"


async def test_too_many_recipients() -> None:
    async with open_house(listener={"max_recipients": 100}) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.ask("MAIL FROM:<>")
        replies = [await talk.ask(f"RCPT TO:<{n}@example.org>") for n in range(102)]
        assert replies[98:] == ["250 2.1.5 Ok"] * 2 + ["452 4.5.3 Too many recipients"] * 2
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        assert len(house.sink.messages[0].rcpts) == 100


async def test_rset_ehlo_and_quit_give_the_lease_back() -> None:
    async with open_house(next_hop={"max_connections": 1}) as house:
        for verb in ("RSET", "EHLO again", "HELO again", "QUIT"):
            async with house.dialog() as talk:
                await talk.greeted()
                await talk.envelope()
                assert (await talk.ask(verb)).startswith("2")
                if verb != "QUIT":
                    assert (await talk.envelope())[1] == "250 2.1.5 Ok"
        assert not house.sink.messages


async def test_many_messages_over_one_connection_and_pipelined() -> None:
    group = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.send(group)
        assert [(await talk.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
        # The end of one message and the next group in one write (RFC 2920 §3.1).
        for n in range(5):
            await talk.send(b"%d\r\n.\r\n" % n + group)
            assert [(await talk.reply())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        await talk.send(b".\r\nQUIT\r\n")
        assert [(await talk.reply())[:3] for _ in range(2)] == ["250", "221"]
        assert house.raws == [b"0\r\n", b"1\r\n", b"2\r\n", b"3\r\n", b"4\r\n", b""]
        assert house.sink.counts["connections"] == 1


# --- standing, decisions ----------------------------------------------------------------------------------------------


async def test_standing_refuses_single_recipients_before_the_next_hop_hears_of_them() -> None:
    gate = FakeGate(refusals={"b@example.org": REFUSAL})
    async with open_house(gate=gate) as house, house.dialog() as talk:
        await talk.greeted()
        assert await talk.envelope("<a@example.com>", "<b@example.org>", "<abuse@example.com>") == [
            "250 2.1.0 Ok",
            "550 5.7.13 Account suspended",
            "250 2.1.5 Ok",
        ]
        await talk.data(b"x\r\n")
        assert house.commands(b"RCPT") == [b"RCPT TO:<abuse@example.com>"]
        session, reverse_path, forward = gate.admitted[0]
        assert (session.listener, session.peer_address, session.is_trusted_peer) == ("smtp", "127.0.0.1", True)
        assert reverse_path is not None
        assert (reverse_path.address, forward.address) == ("a@example.com", "b@example.org")


@pytest.mark.parametrize("refused_by", ["standing", "next hop"])
async def test_where_recipients_stand_together_one_refusal_is_everybodys(refused_by: str) -> None:
    gate = FakeGate(refusals={"c@example.org": REFUSAL} if refused_by == "standing" else {})
    async with open_house(gate=gate, listener={"selective_rcpt": False}) as house, house.dialog() as talk:
        if refused_by == "next hop":
            from filterd.clients.sink import SinkScript

            house.sink.script = SinkScript(recipients={b"c@example.org": "550 5.7.13 Account suspended"})
        await talk.greeted()
        assert await talk.envelope("<>", "<b@example.org>", "<c@example.org>", "<d@example.org>") == [
            "250 2.1.0 Ok",
            "250 2.1.5 Ok",
            "550 5.7.13 Account suspended",
            "550 5.7.13 Account suspended",
        ]
        assert await talk.ask("DATA") == "550 5.7.13 Account suspended"
        assert await talk.ask("RSET") == "250 2.0.0 Ok"
        assert (await talk.envelope())[1] == "250 2.1.5 Ok"
        assert not house.gate.intakes


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Reply(code=550, enhanced="5.7.1", text="Spam\nSee 例"), "550-5.7.1 Spam\n550 5.7.1 See ?"),
        (Reply(code=451, enhanced="4.7.1", text="Later"), "451 4.7.1 Later"),
        (Reply(code=250, enhanced="2.0.0", text="Kept as q_1"), "250 2.0.0 Kept as q_1"),
    ],
)
async def test_a_decision_is_the_reply_and_nothing_is_relayed(reply: Reply, line: str) -> None:
    async with open_house(gate=FakeGate(reply=reply)) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        assert await talk.data(b"x\r\n") == line
        assert not house.sink.messages
        assert not house.commands(b"DATA")
        assert (await talk.envelope())[1] == "250 2.1.5 Ok"
        assert house.sink.counts["rset"] >= 1


async def test_utf8_replies_only_to_those_who_asked() -> None:
    gate = FakeGate(reply=Reply(code=550, enhanced="5.7.1", text="例"))
    async with open_house(gate=gate) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope("<> SMTPUTF8")
        assert await talk.data(b"x\r\n") == "550 5.7.1 例"


async def test_what_the_gate_gives_back_is_what_is_relayed() -> None:
    gate = FakeGate(edit=lambda raw: b"X-Filterd-Id: t_1\r\n" + raw)
    async with open_house(gate=gate) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await talk.data(b"Subject: x\r\n\r\n..y\r\n")
        assert house.raws == [b"X-Filterd-Id: t_1\r\nSubject: x\r\n\r\n.y\r\n"]


# --- content ----------------------------------------------------------------------------------------------------------

CONTENT = [
    (b"", b"", False),
    (b"\r\n", b"\r\n", False),
    (b"..\r\n", b".\r\n", False),
    (b"..x\r\n.y\r\n...\r\n", b".x\r\ny\r\n..\r\n", False),
    (b"nul \0 8-bit \xff\xfe \xe4\xbe\x8b\r\n", b"nul \0 8-bit \xff\xfe \xe4\xbe\x8b\r\n", False),
    (b"lone\nLF\r\n", b"lone\r\nLF\r\n", True),
    (b"lone\rCR\r\n", b"lone CR\r\n", True),
    (b"both\n\rways\r\n", b"both\r\n ways\r\n", True),
    (b"x\n.\r\ny\r\n", b"x\r\n.\r\ny\r\n", True),
    (b"x\r\n..\ny\r\n", b"x\r\n.\r\ny\r\n", True),
    *((b"x" * size + b"\r\n", b"x" * size + b"\r\n", False) for size in (998, 1000, 2048, 10_000, 1_000_000)),
]


@pytest.mark.parametrize(("sent", "received", "is_normalised"), CONTENT)
async def test_content_is_exact_but_for_stray_line_ends(sent: bytes, received: bytes, is_normalised: bool) -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        assert (await talk.data(sent)).startswith("250 ")
        assert house.raws == [received]
        # Scanned, kept and delivered are the same octets.
        assert house.gate.intakes[0].raw == received
        assert house.gate.intakes[0].is_normalised is is_normalised


async def test_the_end_of_data_octet_by_octet() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await talk.ask("DATA")
        for octet in b"a\r\n..\r\nb\r\n.\r\n":
            await talk.send(bytes((octet,)))
        assert (await talk.reply()).startswith("250 ")
        assert house.raws == [b"a\r\n.\r\nb\r\n"]


async def test_a_message_too_big_is_refused_after_its_end_and_the_session_goes_on() -> None:
    async with open_house(listener={"max_message_bytes": 65_536}) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        assert await talk.data(b"x" * 78 + b"\r\n" + b"y" * 100_000) == "552 5.3.4 Message too big"
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        assert house.raws == [b"x\r\n"]


@pytest.mark.parametrize(("count", "reply"), [(100, "250"), (101, "554")])
async def test_a_mail_that_went_in_circles_is_refused(count: int, reply: str) -> None:
    fields = b"Received: by x\r\n\twith y\r\nRECEIVED : by z\r\n" * (count // 2) + b"received:\r\n" * (count % 2)
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        body = b"\r\n" + b"Received: in the body\r\n" * 200
        said = await talk.data(fields + b"Subject: x\r\n" + body)
        assert said[:3] == reply
        assert reply == "250" or said == "554 5.4.6 Too many hops: mail loop"


async def test_a_header_of_nothing_but_tiny_fields_is_refused_unread() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        assert await talk.data(b"a:\r\n" * 50_002 + b"\r\nx\r\n") == "554 5.6.0 Header too big"
        assert house.gate.intakes == []
        await talk.envelope()
        assert (await talk.data(b"Subject: x\r\n\r\n" + b"a:\r\n" * 60_000)).startswith("250 ")


# --- XFORWARD, XCLIENT ------------------------------------------------------------------------------------------------


async def test_xforward_lasts_for_one_transaction() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        assert await talk.ask("XFORWARD NAME=mx.example ADDR=192.0.2.9") == "250 2.0.0 Ok"
        assert (
            await talk.ask("XFORWARD HELO=mx PROTO=ESMTP PORT=99 SOURCE=REMOTE IDENT=[UNAVAILABLE]") == "250 2.0.0 Ok"
        )
        await talk.envelope()
        await talk.data(b"x\r\n")
        await talk.envelope()
        await talk.data(b"x\r\n")
        await talk.ask("XFORWARD ADDR=192.0.2.10")
        await talk.ask("RSET")
        await talk.envelope()
        await talk.data(b"x\r\n")
        seen = [(i.session.client_address, i.session.client_name, i.session.helo) for i in house.gate.intakes]
        assert seen == [
            ("192.0.2.9", "mx.example", "mx"),
            ("127.0.0.1", None, "client.example"),
            ("127.0.0.1", None, "client.example"),
        ]
        first, second, third = [dict(pair.split(b"=", 1) for pair in m.xforward) for m in house.sink.messages]
        assert first == {
            b"NAME": b"mx.example",
            b"ADDR": b"192.0.2.9",
            b"PORT": b"99",
            b"PROTO": b"ESMTP",
            b"HELO": b"mx",
            b"IDENT": b"[UNAVAILABLE]",
            b"SOURCE": b"REMOTE",
        }
        assert second[b"ADDR"] == third[b"ADDR"] == b"127.0.0.1"
        assert len({i.session.id for i in house.gate.intakes}) == 3


async def test_bad_xforward_is_refused() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        for argument in ("", " X=1", " ADDR=x", " NAME=" + "x" * 256, " HELO=" + "x" * 250 + " NAME=" + "y" * 250):
            assert (await talk.ask("XFORWARD" + argument)).startswith("501 5.5.4 XFORWARD: ")


async def test_xclient_greets_anew_and_carries_the_login() -> None:
    listener = {"attribution": "xclient", "login_domain": "example.com"}
    async with open_house(listener=listener) as house, house.dialog() as talk:
        await talk.greeted()
        assert (await talk.ask("XCLIENT ADDR=192.0.2.3 NAME=[UNAVAILABLE] LOGIN=Bob")).startswith("220 door.example ")
        assert await talk.ask("MAIL FROM:<>") == "503 5.5.1 Send EHLO first"
        assert (await talk.ask("XCLIENT LOGIN=+00")).startswith("501 5.5.4 XCLIENT: ")
        await talk.ask("EHLO nginx.example")
        await talk.envelope()
        assert await talk.ask("XCLIENT ADDR=192.0.2.4") == "503 5.5.1 Mail transaction in progress"
        await talk.data(b"x\r\n")
        session = house.gate.intakes[0].session
        assert (session.login, session.login_source) == ("bob@example.com", "xclient")
        assert (session.client_address, session.client_port, session.helo) == ("192.0.2.3", None, "nginx.example")
        await talk.ask("XCLIENT ADDR=192.0.2.4")
        await talk.ask("EHLO nginx.example")
        await talk.envelope()
        await talk.data(b"x\r\n")
        assert house.gate.intakes[1].session.login is None


# --- our own errors ---------------------------------------------------------------------------------------------------


async def test_an_error_of_ours_leaks_nothing_and_is_told_once() -> None:
    gate = FakeGate(enforce_error=ValueError("secret path /etc/x\r\n250 forged"))
    async with open_house(gate=gate) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        said = await talk.data(b"x\r\n")
        session_id = house.gate.intakes[0].session.id
        assert said == f"451 4.3.0 Internal error, try again later ({session_id})"
        assert [(i, str(e)) for i, e in house.errors] == [(session_id, "secret path /etc/x\r\n250 forged")]
        assert not house.sink.messages
        gate.enforce_error = None
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")


async def test_an_error_while_admitting_refuses_the_recipient_for_now() -> None:
    async with open_house(gate=FakeGate(admit_error=RuntimeError("x"))) as house, house.dialog() as talk:
        await talk.greeted()
        replies = await talk.envelope()
        assert replies[1].startswith("451 4.3.0 Internal error")
        assert len(house.errors) == 1
        assert not house.commands(b"RCPT")


async def test_a_record_that_fails_does_not_undo_the_next_hops_250() -> None:
    async with open_house(gate=FakeGate(delivered_error=OSError("disk"))) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 2.0.0 from MTA(")
        assert len(house.errors) == 1


async def test_a_sender_who_is_refused_at_mail_begins_no_transaction_and_the_next_hop_hears_nothing() -> None:
    gate = FakeGate(sender_refusal=REFUSAL)
    async with open_house(gate=gate) as house, house.dialog() as talk:
        await talk.greeted()
        assert await talk.ask("MAIL FROM:<a@example.com>") == "550 5.7.13 Account suspended"
        assert (await talk.ask("RCPT TO:<b@example.org>")).startswith("503 ")
        assert list(house.sink.messages) == []
        assert gate.admitted == []
        assert [path.address for _, path in gate.senders if path is not None] == ["a@example.com"]
        gate.sender_refusal = None
        assert await talk.envelope() == ["250 2.1.0 Ok", "250 2.1.5 Ok"]
        assert (await talk.data(b"Subject: x\r\n\r\nbody\r\n")).startswith("250 ")
        assert house.errors == []
