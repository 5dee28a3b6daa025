"""An office whose held mail goes somewhere: the workers of held mail, with a recording next hop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from filterd import app
from filterd.app.held import OnlyHeld
from filterd.app.mailer import CurrentSigner, SigningMailer
from filterd.app.parts import notice_settings
from filterd.clients.mailer import RelayMailer
from filterd.clients.relay import NextHopRelay
from filterd.clients.sink import Sink, start_sink
from filterd.config import Config, NextHopConfig
from filterd.mail.address import parse_forward_path
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notices import Templates
from filterd.ports import Answer, Intake
from filterd.share import path
from filterd.workers.clocks import ClockWorker
from filterd.workers.mta_held import DROP_TOPIC, Drops
from filterd.workers.outbox import OutboxWorker
from filterd.workers.releasing import RELEASE_TOPIC, Releases
from filterd.workers.returning import RETURN_TOPIC, Returns
from tests.kit.house import KEYS
from tests.kit.mta_queue import Queue
from tests.pipeline.people import ALICE, BOB, CONFIG, Office

# A text that reads like spam, and nothing else: mode B.
CONTESTABLE = ("content.spam.model",)
# Advertising in a run of mail that nobody declared.
RUN = ("content.advertising.model", "rate.burst.running")
MILTER = "milter"
LISTENERS = [
    {"name": "submission", "attribution": "xclient", "direction": "outbound"},
    {"name": "queue", "attribution": "xclient", "direction": "outbound", "after_queue": True, "port": 10030},
    {"name": "header", "attribution": "header", "header_name": "X-Auth-User", "port": 10028},
    {"name": "inbound", "direction": "inbound", "port": 10029},
    {"name": "inbound-queue", "direction": "inbound", "after_queue": True, "port": 10031},
]


class HoldingOffice(Office):
    """`sink` is the next hop, for mail and for notices."""

    sink: Sink
    relay: NextHopRelay
    # What the MTA holds, as its programs say it.
    queue: Queue

    async def furnish(self, sink: Sink) -> None:
        self.sink, self.queue = sink, Queue()
        self.relay = NextHopRelay(NextHopConfig(address=sink.address))
        self.desk = NoticeDesk(
            self.rules, Templates(path("policies/notices")), notice_settings(self.config), KEYS.token
        )
        self.errors: list[str] = []
        self.anew()
        self.clocks = ClockWorker(
            self.engine.submit, lambda: self.rules, lambda: True, steady=lambda: self.clock.now().timestamp()
        )
        await self.strike()

    def anew(self) -> None:
        """Start the workers anew, as after a crash: what they remembered is gone."""
        mailer = SigningMailer(RelayMailer(self.relay), CurrentSigner(lambda: self.config.signing), self.clock)
        self.worker = OutboxWorker(
            OnlyHeld(self.engine),
            self.engine.submit,
            self.desk,
            mailer,
            self.clock,
            carriers={
                RELEASE_TOPIC: Releases(
                    self.engine.submit,
                    self.relay,
                    self.queue,
                    lambda: app.make_signer(self.config.signing),
                ),
                DROP_TOPIC: Drops(self.queue),
                RETURN_TOPIC: Returns(self.engine.submit, lambda: self.desk, mailer, hostname="mx.example"),
            },
            on_error=lambda _, error: self.errors.append(error),
        )

    async def carry(self) -> int:
        """Have the workers do what is due; say how many promises there were."""
        done = 0
        while some := await self.worker.drain_once(self.clock.now()):
            done += some
        return done

    async def strike(self, **later: float) -> list[str]:
        """Turn the clock, and say what struck."""
        self.clock.advance(timedelta(**later).total_seconds())
        return [x.clock for x in (await self.clocks.run_once(self.clock.now())).struck]

    async def submit(
        self,
        raw: bytes,
        *recipients: str | ForwardPath,
        login: str | None = ALICE,
        listener: str = "submission",
        sender: str | None = ALICE,
        parameters: tuple[bytes, ...] = (),
        queue_id: str | None = None,
    ) -> Answer:
        """Send one mail with an envelope of its own. `queue_id`: by a milter whose MTA can hold it under that name."""
        session = Session(
            id="c_1",
            door=Door.MILTER if listener == MILTER else Door.SMTP,
            listener=listener,
            peer_address="127.0.0.1",
            is_trusted_peer=True,
            login=login if listener in ("submission", "queue", MILTER) else None,
            login_source=("sasl" if listener == MILTER else "xclient") if login else None,
        )
        forwards = tuple(
            to if isinstance(to, ForwardPath) else ForwardPath(path=parse_forward_path(f"<{to}>".encode()))
            for to in recipients or (BOB,)
        )
        reverse = parse_forward_path(f"<{sender}>".encode()) if sender is not None else None
        envelope = Envelope(reverse_path=reverse, parameters=parameters, forward_paths=forwards)
        return await self.gate.enforce(Intake(session=session, envelope=envelope, raw=raw, queue_id=queue_id))

    async def items(self, *, all: bool = False) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = await self.ledger.call("quarantine.list", {"all": all})
        return listed

    async def states(self) -> list[str]:
        return sorted(row["state"] for row in await self.items(all=True))


@asynccontextmanager
async def open_holding(folder: Path, **tables: Any) -> AsyncIterator[HoldingOffice]:
    """Open one; `tables` go into its configuration."""
    given = {**CONFIG, "listener": LISTENERS, **tables, "node": {"state_dir": str(folder)}}
    office = HoldingOffice(folder, Config.model_validate(given))
    await office.open()
    sink = await start_sink()
    try:
        await office.furnish(sink)
        await office.hire("mona", "max")
        yield office
    finally:
        await office.relay.close()
        await sink.close()
        await office.close()
