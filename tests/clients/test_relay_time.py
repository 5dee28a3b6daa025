"""Time limits of the relay client over several steps: a client waits for their sum (MAIL-PATH 4a)."""

from __future__ import annotations

import asyncio

import pytest

from filterd.clients.relay_wire import RelayBroken
from filterd.errors import PortError
from tests.clients.test_relay_tls import RCPT, relay_to
from tests.kit.hop import Hop, Talk, is_silent
from tests.kit.loops import turn
from tests.kit.waiting import soon

pytestmark = pytest.mark.turned


async def test_getting_ready_and_mail_together_stay_below_what_postfix_waits() -> None:
    """Each step in its time is not enough."""
    go_on = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await go_on.wait()
        talk.say("220 at last")

    hop = Hop(misbehave={b"": slow, b"MAIL": is_silent})
    async with relay_to(hop, command_timeout_s=60, data_timeout_s=85) as relay:
        leasing = asyncio.create_task(relay.lease())
        await soon(lambda: hop.connections)
        await turn(50)
        go_on.set()
        lease = await leasing
        mailing = asyncio.create_task(lease.mail(None, ()))
        await soon(lambda: b"MAIL" in hop.verbs())
        await turn(35)
        with pytest.raises(RelayBroken):
            await mailing
        await lease.close()


async def test_a_greeting_in_steps_is_cut_off() -> None:
    """`command_timeout_s` is for all of getting ready."""
    go_on = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await go_on.wait()
        talk.say("220 at last")

    hop = Hop(misbehave={b"": slow, b"EHLO": is_silent})
    async with relay_to(hop, command_timeout_s=60) as relay:
        leasing = asyncio.create_task(relay.lease())
        await soon(lambda: hop.connections)
        await turn(49)
        go_on.set()
        await soon(lambda: b"EHLO" in hop.verbs())
        await turn(11)
        with pytest.raises(PortError):
            await leasing


async def test_data_and_message_together_stay_below_it_too() -> None:
    go_on = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await go_on.wait()
        talk.say("354 at last")
        while await talk.reader.readline() != b".\r\n":
            pass
        has_come.set()
        await is_silent(talk)

    has_come = asyncio.Event()
    hop = Hop(misbehave={b"DATA": slow})
    async with relay_to(hop, command_timeout_s=60, data_timeout_s=85) as relay:
        lease = await relay.lease()
        await lease.mail(None, ())
        await lease.rcpt(RCPT)
        sending = asyncio.create_task(lease.data(b"x\r\n"))
        await soon(lambda: b"DATA" in hop.verbs())
        await turn(50)
        go_on.set()
        await has_come.wait()
        await turn(35)
        with pytest.raises(RelayBroken) as caught:
            await sending
        assert caught.value.is_after_dot
        await lease.close()
