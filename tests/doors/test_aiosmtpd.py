"""What we lean on in aiosmtpd, so that another version of it breaks loudly here and not in somebody's mail."""

from __future__ import annotations

import asyncio
import inspect

from aiosmtpd.smtp import SMTP

from filterd.config import ListenerConfig
from filterd.doors.smtp_connection import SmtpConnection
from filterd.doors.smtp_door import SmtpDoor
from filterd.doors.smtp_settings import Bounds
from filterd.doors.smtp_verbs import VERBS, SmtpProtocol
from tests.dialogs.house import FakeGate, open_house


async def test_a_connection_has_all_that_its_own_initialiser_would_have_set() -> None:
    class NoRelay:
        async def lease(self) -> object:
            raise AssertionError

    door = SmtpDoor(
        ListenerConfig(),
        FakeGate(),
        NoRelay(),  # type: ignore[arg-type]
        on_error=lambda *_: None,
        bounds=Bounds(),
        via="x",
    )
    ours, theirs = SmtpProtocol(door), SMTP(object(), loop=asyncio.get_running_loop())
    assert vars(theirs).keys() <= vars(ours).keys()
    # Nothing of the one connection that the door made for looking at may be shared.
    assert ours._stream_reader_wr is not door.aiosmtpd_state["_stream_reader_wr"]
    assert ours._closed is not door.aiosmtpd_state["_closed"]
    assert set(ours._smtp_methods) == set(VERBS)
    assert all(method.__self__ is ours for method in ours._smtp_methods.values())


def test_what_is_overridden_is_still_there() -> None:
    for name in (
        "_handle_client",
        "_reset_timeout",
        "_timeout_cb",
        "_cb_client_connected",
        "push",
        "handle_exception",
        "connection_made",
        "connection_lost",
        "eof_received",
    ):
        ours, theirs = (inspect.signature(getattr(kind, name)).parameters for kind in (SmtpConnection, SMTP))
        assert list(ours) == list(theirs), name


async def test_unknown_verbs_are_not_kept() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        for n in range(4):
            assert await talk.ask(f"VERB{n}") == "500 5.5.1 Command not recognized"
        assert not SmtpConnection.command_size_limits
        assert not any(verb.startswith("VERB") for verb in SMTP.command_size_limits)
