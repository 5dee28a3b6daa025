"""`filterd demo`: the whole house on embedded defaults, with sample mail, on simulated days.  `make run` calls it.

Starts a private clamd when no system one answers, filterd with SQLite and the built-in sink as next hop, sends mail by
SMTP, and prints what the ledger and the event stream say. Then it stays up until a signal.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from filterd import app
from filterd.clients.clamd import locate
from filterd.clients.clamd_private import start_private_clamd
from filterd.clients.clock import FILE_NAME, set_clock
from filterd.config import Config
from filterd.demo import letters
from filterd.demo.post import Post
from filterd.demo.table import print_account, print_mails, print_notice
from filterd.log import set_up

SPAMMER, WRITER = "mallory@cust-a.example", "alice@cust-a.example"
START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
RUN = 200


def config_for(state_dir: Path, clamd: str) -> Config:
    """The embedded defaults, with two listeners, a settable clock, and a short wait before notices go out."""
    return Config.model_validate(
        {
            "node": {"state_dir": str(state_dir), "clock": "settable"},
            "listener": [
                {"name": "submission", "port": 0, "attribution": "xclient", "direction": "outbound"},
                {"name": "inbound", "port": 0, "direction": "inbound"},
            ],
            "policy_service": {"port": 0},
            "http": {"port": 0},
            "clamd": {"address": clamd},
            "notices": {
                "merge_s": 1,
                "sender": "Mail policy <policy@provider.example>",
                "appeals_address": "appeals@provider.example",
            },
        }
    )


async def run(state_dir: Path | None, *, once: bool = False, log_level: str = "error") -> None:
    """Run the demonstration; with `once` it ends after the tables."""
    set_up(log_level)
    async with AsyncExitStack() as stack:
        folder = state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="filterd-demo-")))
        clamd = await _clamd(stack)
        config = config_for(folder, clamd)
        clock = folder / FILE_NAME
        set_clock(clock, START)
        half = await app.run_all_in_one(config, stack)
        print(
            f"filterd is up: state in {folder}, submission on port {half.ports['submission']}, "
            f"inbound on port {half.ports['inbound']}, policy service on port {half.ports['policy']}, "
            f"clamd at {clamd}\n"
        )
        story = Story(half, folder)
        await story.tell()
        if not once:
            print("\nfilterd stays up; end it with Ctrl-C.", flush=True)
            await _until_signal()


async def _clamd(stack: AsyncExitStack) -> str:
    found = await locate()
    if found is not None:
        return found
    private = await start_private_clamd(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="filterd-clamd-"))))
    stack.push_async_callback(private.stop)
    return f"unix:{private.socket_path}"


async def _until_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


class Story:
    """What is sent, and when."""

    def __init__(self, half: app.MailHalf, folder: Path):
        self._half, self._folder, self._ledger = half, folder, half.ledger
        self._replies: dict[str, str] = {}
        self._token = ""

    async def tell(self) -> None:
        await self._prepare()
        await self._letters()
        days = {0: "en", 2: "zh", 4: "en"}
        for day, language in days.items():
            await self._spam_run(day, language)
        await self._after()
        print_mails(self._folder)
        await self._climb()
        print_notice(self._folder / "sink", ("suspended", "暂停"))
        await self._undo()

    async def _prepare(self) -> None:
        """The first person, and a tenant whose accounts come with their first mail."""
        added = await self._call("person.add", {"name": "dana", "role": "moderator"})
        self._token = added["token"]

    async def _letters(self) -> None:
        now = START
        writer = await Post.connect(self._half.ports["submission"], WRITER)
        for language in ("en", "zh"):
            raw = letters.clean(language, now, WRITER, "office@partner.example")
            await self._send(writer, WRITER, "office@partner.example", raw)
        await self._send(writer, WRITER, "office@partner.example", letters.virus(now, WRITER, "office@partner.example"))
        await writer.close()
        stranger = await Post.connect(self._half.ports["inbound"])
        for number, language in enumerate(("en", "zh")):
            raw = letters.advert(number, language, now, "promo@stranger.example", WRITER)
            await self._send(stranger, "promo@stranger.example", WRITER, raw)
        forged = letters.clean("en", now, "boss@cust-a.example", WRITER)
        await self._send(stranger, "boss@cust-a.example", WRITER, forged)
        await stranger.close()

    async def _spam_run(self, day: int, language: str) -> None:
        at = START + timedelta(days=day, hours=1)
        set_clock(self._folder / FILE_NAME, at)
        post = await Post.connect(self._half.ports["submission"], SPAMMER)
        for number in range(RUN):
            recipient = f"user{number}@strangers{number % 7}.example"
            raw = letters.advert(day * 1000 + number, language, at, SPAMMER, recipient)
            reply = await post.send(SPAMMER, [recipient], raw)
            if number in (0, RUN - 1):
                self._show(f"day {day}, spam {number + 1} of {RUN}", reply)
        await post.close()
        await self._settle()

    async def _after(self) -> None:
        """The suspended account is refused, and can still write to the appeals address."""
        post = await Post.connect(self._half.ports["submission"], SPAMMER)
        now = START + timedelta(days=4, hours=2)
        raw = letters.clean("en", now, SPAMMER, "friend@partner.example")
        self._show("a harmless letter after the suspension", await post.send(SPAMMER, ["friend@partner.example"], raw))
        raw = letters.clean("zh", now, SPAMMER, "appeals@provider.example")
        self._show("a letter to the appeals address", await post.send(SPAMMER, ["appeals@provider.example"], raw))
        await post.close()
        await self._settle()

    async def _climb(self) -> None:
        account = await self._call("account.show", {"account": SPAMMER})
        history = await self._call("account.history", {"account": SPAMMER})
        print_account(SPAMMER, account, history, ZoneInfo("Asia/Shanghai"))

    async def _undo(self) -> None:
        """Undo exists: a person grants the appeal, and the ladder is replayed without that strike."""
        appeals = await self._call("appeal.list", {})
        if not appeals:
            raise SystemExit("demo: the objection by mail was not recorded")
        decided = await self._call(
            "appeal.decide",
            {"appeal": appeals[0]["appeal_id"], "outcome": "granted", "reason": "demonstration of an annulment"},
        )
        print(f"\ndana grants the appeal: {SPAMMER} is now {decided['standing']} with {decided['points']} points")

    async def _send(self, post: Post, sender: str, recipient: str, raw: bytes) -> None:
        await post.send(sender, [recipient], raw)

    async def _settle(self) -> None:
        """Let the notice that was promised go out."""
        await asyncio.sleep(3)

    async def _call(self, verb: str, arguments: dict[str, Any]) -> Any:
        return await self._ledger.call(verb, {"token": self._token, **arguments})

    def _show(self, what: str, reply: str) -> None:
        print(f"{what}: {reply}", file=sys.stdout, flush=True)
