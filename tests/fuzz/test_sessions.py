"""Whole SMTP and LMTP sessions: every answer and every message that goes on are those of a naive server.

The naive server is a table of states (RFC 5321 §4.1.4, RFC 2033 §4.2, RFC 2920) that knows nothing of filterd. A client
either waits for each answer or writes everything at once. Then sessions of any octets: whatever they are, each line of
an answer is one, nothing of ours is raised, nothing goes on but what was ended by CRLF.CRLF, and the door serves on.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.doors.smtp_settings import Bounds
from tests.dialogs.client import Dialog
from tests.dialogs.house import open_house
from tests.fuzz import naive
from tests.fuzz.runs import octets_of_a_session, seed_left, with_seeds

LMTP = {"protocol": "lmtp"}
REPLY = re.compile(rb"[2345][0-5][0-9][ -][^\r\n]*\r\n")

# --- sessions that a client could mean --------------------------------------------------------------------------------

_CONTENT = st.lists(
    st.sampled_from(
        [b"a", b".", b"..", b"\r\n", b"\r\n.", b"Subject: x\r\n", b"\0", b"\xff", b"QUIT\r\n", b"MAIL FROM:<>\r\n"]
    ),
    max_size=6,
).map(b"".join)
_LINES = st.sampled_from(
    (
        *(b"EHLO a.example", b"LHLO a.example", b"HELO a.example", b"ehlo b", b"EHLO", b"EHLO " + b"x" * 256),
        *(b"MAIL FROM:<a@b.example>", b"MAIL FROM:<>", b"mail from: a@b.example", b"MAIL FROM:<b@x> BODY=8BITMIME"),
        *(b"MAIL FROM:<a@>", b"MAIL FROM <a@b.example>", b"MAIL", b"MAIL FROM:<a@b.x> SIZE=x", b"MAIL FROM:<a> X"),
        *(b"RCPT TO:<c@d.example>", b"RCPT TO:<e@d.example> NOTIFY=NEVER", b"RCPT TO:<postmaster>", b"RCPT TO:<>"),
        *(b"RCPT TO:<@x,y:c@d.example>", b"RCPT", b'rcpt to:<"a b"@d.example>', b"RCPT TO:<c@d.example> A A"),
        *(b"RSET", b"RSET x", b"NOOP", b"NOOP x", b"VRFY a", b"VRFY", b"EXPN a", b"HELP", b"QUIT", b"QUIT x"),
        *(
            b"\xff",
            b"",
            b"XYZZY",
            b"AUTH",
            b"BDAT 3 LAST",
            b"STARTTLS",
            b"TURN",
            b"  ",
            b"MAILFROM:<>",
            b"DATA:",
            b"DATA x",
        ),
    )
)
_HELLO, _MAIL, _RCPT = (b"EHLO c.example", None), (b"MAIL FROM:<a@b.example>", None), (b"RCPT TO:<c@d.example>", None)
_ONE = st.one_of(_LINES.map(lambda line: (line, None)), _CONTENT.map(lambda content: (b"DATA", content)))
# What a session is for comes often, whole or with something in between.
_WHOLE = st.tuples(st.booleans(), st.lists(_ONE, max_size=1), st.lists(_ONE, max_size=1), _CONTENT).map(
    lambda x: [*([_HELLO] if x[0] else []), _MAIL, *x[1], _RCPT, *x[2], (b"DATA", x[3])]
)
STEPS = st.lists(st.one_of(_ONE.map(lambda one: [one]), _WHOLE), max_size=5).map(
    lambda some: [one for steps in some for one in steps]
)
Step = tuple[bytes, bytes | None]


KNOWN = frozenset(b"EHLO HELO LHLO MAIL RCPT DATA RSET NOOP VRFY EXPN HELP QUIT STARTTLS".split())
MOST_UNKNOWN = 5
ENDS = ("Q", "4")


@dataclass
class NaiveServer:
    """What each command is answered with, by first digit, and the messages that come of it; `Q` and `4` end it."""

    is_lmtp: bool
    is_greeted: bool = False
    unknown: int = 0
    sender: bytes | None = None
    rcpts: list[bytes] = field(default_factory=list)
    messages: list[tuple[bytes, tuple[bytes, ...], bytes]] = field(default_factory=list)

    def hear(self, line: bytes) -> str:
        """Say the first digit of the answer to one command line; `3` to a DATA that is followed by content."""
        verb, _, argument = line.strip(b" ").partition(b" ")
        argument = argument.strip(b" ")
        match verb.upper():
            case b"EHLO" | b"HELO" | b"LHLO" as hello if (hello == b"LHLO") == self.is_lmtp:
                if not 0 < len(argument) <= 255:
                    return "5"
                self.is_greeted = True
                return self.forget()
            case b"MAIL" if self.is_greeted and self.sender is None:
                path = mailbox_of(argument, b"FROM:", null=True)
                if path is None:
                    return "5"
                self.sender = path
                return "2"
            case b"RCPT" if self.sender is not None:
                path = mailbox_of(argument, b"TO:", null=False)
                if path is None:
                    return "5"
                self.rcpts.append(path)
                return "2"
            case b"DATA" if self.is_greeted and self.rcpts and not argument:
                return "3"
            case b"RSET" if not argument:
                return self.forget()
            case b"NOOP" | b"HELP":
                return "2"
            case b"VRFY" if argument:
                return "2"
            case b"QUIT" if not argument:
                return "Q"
            case name if not name.isascii():
                # No verb at all, and so no unknown one.
                return "5"
            case name if line and name not in KNOWN - ({b"EHLO", b"HELO"} if self.is_lmtp else {b"LHLO"}):
                # Whoever speaks another protocol is not heard out.
                self.unknown += 1
                return "4" if self.unknown == MOST_UNKNOWN else "5"
            case _:
                return "5"

    def content(self, content: bytes) -> int:
        """Take a message; says how many answers it gets."""
        assert self.sender is not None
        self.messages.append((self.sender, tuple(self.rcpts), content))
        count = len(self.rcpts) if self.is_lmtp else 1
        self.forget()
        return count

    def forget(self) -> str:
        self.sender, self.rcpts = None, []
        return "2"


def mailbox_of(argument: bytes, keyword: bytes, *, null: bool) -> bytes | None:
    """Say what stands between the brackets, None for what is no path; the parameters of this file's lines only."""
    if argument[: len(keyword)].upper() != keyword:
        return None
    rest = argument[len(keyword) :].strip(b" ")
    found = re.fullmatch(rb'(<(?:"[^"]*"|[^">])*>|[^<" ]+)((?: [A-Za-z0-9-]+(?:=[^ ]+)?)*)', rest)
    if found is None:
        return None
    path = found[1] if found[1].startswith(b"<") else b"<" + found[1] + b">"
    names = [word.partition(b"=")[0] for word in found[2].split()]
    if len(set(names)) < len(names) or b"SIZE=x" in found[2]:
        return None
    if path == b"<>":
        return b"" if null else None
    if path.lower() != b"<postmaster>" or null:
        try:
            naive.mailbox(path)
        except naive.Broken:
            return None
    return path[1:-1]


def stuffed(content: bytes) -> bytes:
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b"\r\n.\r\n"


async def hold(steps: list[Step], *, is_lmtp: bool, is_at_once: bool) -> None:
    """Hold one session and compare it with the naive server's."""
    if is_lmtp:
        steps = [(b"LHLO c.example", None) if step == _HELLO else step for step in steps]
    server = NaiveServer(is_lmtp)
    # The naive server is patient; how many errors are too many is shown elsewhere (test_smtp_bounds).
    bounds = Bounds(bad_commands=len(steps), junk_commands=len(steps))
    async with open_house(listener=LMTP if is_lmtp else {}, bounds=bounds) as house, house.dialog() as talk:
        assert (await talk.line()).startswith("220 ")
        for group in groups(steps, NaiveServer(is_lmtp)) if is_at_once else [[step] for step in steps]:
            if is_at_once:
                await talk.send(b"".join(line + b"\r\n" + (content or b"") for line, content in group))
            for line, content in group:
                if not is_at_once:
                    await talk.send(line + b"\r\n")
                expected, said = server.hear(line), await talk.reply()
                assert said[:1] == ("2" if expected == "Q" else expected), (line, said)
                if expected in ENDS:
                    assert await talk.ended()
                elif expected == "3":
                    await answered(talk, server, content or b"", is_sent=is_at_once)
            if expected in ENDS:
                break
        assert house.errors == []
        arrived = [(path(m.mail), tuple(path(r) for r in m.rcpts), m.raw) for m in house.sink.messages]
        assert arrived == server.messages
        assert [intake.raw for intake in house.gate.intakes] == house.raws


async def answered(talk: Dialog, server: NaiveServer, content: bytes, *, is_sent: bool) -> None:
    """Send a message, where that has not been done, and take its answers."""
    if is_sent:
        content = naive.data(content)[0] if content else b""
    else:
        await talk.send(stuffed(content))
        content += b"\r\n"
    for _ in range(server.content(content)):
        assert (await talk.reply())[:1] == "2"


def groups(steps: list[Step], server: NaiveServer) -> list[list[Step]]:
    """What a client writes at once that foresees every answer: content where it will be asked for, stuffed.

    A DATA that will be refused ends a group: whoever writes on is hung up on, for it might be content (RFC 2920 §3.1).
    """
    out: list[list[Step]] = [[]]
    for line, content in steps:
        expected = server.hear(line)
        is_data = expected == "3"
        out[-1].append((line, stuffed(content or b"") if is_data else None))
        if is_data:
            server.content(b"")
        elif expected in ENDS:
            break
        elif line.upper().startswith(b"DATA"):
            out.append([])
    return [group for group in out if group]


def path(argument: bytes) -> bytes:
    """The path of a command as the next hop has heard it."""
    return argument[argument.index(b"<") + 1 : argument.rindex(b">")]


@octets_of_a_session
@given(STEPS, st.booleans(), st.booleans())
async def test_a_session_is_that_of_the_naive_server(steps: list[Step], is_lmtp: bool, is_at_once: bool) -> None:
    with seed_left("steps", repr((steps, is_lmtp, is_at_once)).encode()):
        await hold(steps, is_lmtp=is_lmtp, is_at_once=is_at_once)


@with_seeds("steps")
async def test_seeds_of_sessions(seed: bytes) -> None:
    steps, is_lmtp, is_at_once = ast.literal_eval(seed.decode()) if seed else ([], False, False)
    await hold(steps, is_lmtp=is_lmtp, is_at_once=is_at_once)


# --- sessions of any octets -------------------------------------------------------------------------------------------

_ENVELOPE = b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n"
_ODD = (
    b"\r\n.\r\n",
    b"\n.\n",
    b"DATA\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"XFORWARD X=Y\r\n",
    b"XFORWARD ADDR=[UNAVAILABLE]\r\n",
)
_PIECES = st.one_of(
    _LINES.map(lambda line: line + b"\r\n"),
    _CONTENT,
    st.binary(max_size=12),
    st.sampled_from((*_ODD, _ENVELOPE, b"XCLIENT ADDR=1.2.3.4\r\n")),
)
OCTETS = st.lists(_PIECES, max_size=10).map(b"".join)


async def bear(octets: bytes, *, is_lmtp: bool) -> None:
    async with open_house(listener=LMTP if is_lmtp else {}) as house:
        async with house.dialog() as talk:
            with contextlib.suppress(ConnectionError):
                await talk.send(octets)
                talk.writer.write_eof()
            said = await all_of(talk)
        lines = said.splitlines(keepends=True)
        assert all(REPLY.fullmatch(line) for line in lines), said
        # Nothing goes on that the standard's reader of data would not have ended.
        assert len(house.raws) <= octets.count(b"\r\n.\r\n")
        for raw in house.raws:
            assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
        assert [intake.raw for intake in house.gate.intakes] == house.raws
        assert house.errors == []
        async with house.dialog() as talk:
            await talk.greeted("LHLO again" if is_lmtp else "EHLO again")
            await talk.envelope()
            assert (await talk.data(b"still here\r\n")).startswith("250 ")


async def all_of(talk: Dialog) -> bytes:
    try:
        return await talk.reader.read(-1)
    except ConnectionError:
        # What was not read any more is answered by the kernel (RST), and takes the last replies with it.
        return b""


@octets_of_a_session
@given(OCTETS, st.booleans())
async def test_any_octets_are_borne(octets: bytes, is_lmtp: bool) -> None:
    with seed_left("session", octets):
        await bear(octets, is_lmtp=is_lmtp)


@with_seeds("session")
@pytest.mark.parametrize("is_lmtp", [False, True], ids=["smtp", "lmtp"])
async def test_seeds_are_borne(seed: bytes, is_lmtp: bool) -> None:
    async with asyncio.timeout(120):
        await bear(seed, is_lmtp=is_lmtp)
