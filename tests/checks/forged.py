"""Forged mail through the real gate with the four authentication checks: what would the reader behind us be told?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from filterd.agreement.terms import Agreement
from filterd.checks import arc, dkim, dmarc, spf
from filterd.checks.run import arrange
from filterd.clients.keys import derive
from filterd.mail.lines import canonical
from filterd.model.sanction import Preset
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.pipeline.attribution import AttributionRule
from filterd.pipeline.gate import GateRules, ListenerRule, MailGate
from filterd.pipeline.inert import Ear, NoLedger, NoSpool
from filterd.pipeline.reach import Reach
from filterd.pipeline.replies import ReplyStyle
from filterd.ports import Intake, Resolver
from tests.checks.contexts import path
from tests.kit.clock import FrozenClock
from tests.kit.terms import tencent
from tests.kit.waiting import PATIENCE_S
from tests.kit.zones import Zone, ZoneResolver

OURS = "mx.house.example"
EVIL_CLIENT = "192.0.2.66"


class Told(NamedTuple):
    """The mail as it goes on, and the values of the Authentication-Results fields with our name in it, unfolded."""

    raw: bytes
    results: tuple[str, ...]

    def says(self, word: str) -> bool:
        return any(word in value for value in self.results)

    @property
    def methods(self) -> list[str]:
        """Each `method=result`, of all fields."""
        return [found for value in self.results for found in re.findall(r"(?:^|; )([a-z]+=[a-z]+)", value)]


async def told(
    raw: bytes,
    zone: Zone | Mapping[str, Mapping[str, Any]] | None = None,
    *,
    mail_from: str | None = None,
    helo: str | None = "mail.evil.example",
    client: str = EVIL_CLIENT,
    authserv_id: str = OURS,
    resolver: Resolver | None = None,
) -> Told:
    """Walk an inbound mail through the gate, DNS being `zone` or what `resolver` says."""
    octets, changes = canonical(raw)
    terms: Agreement = tencent()
    inbound = ListenerRule(attribution=AttributionRule(), direction="inbound", authserv_id=authserv_id)
    appeals = "appeals@house.example"
    rules = GateRules(
        listeners={"mx": inbound},
        reach=Reach(appeals_address=appeals),
        style=ReplyStyle(appeals_address=appeals),
        preset=Preset.SUPERVISED,
    )
    gate = MailGate(
        ledger=NoLedger(terms, rules.preset),
        spool=NoSpool(),
        # dkimpy signs with the time of today.
        clock=FrozenClock(datetime.now(UTC)),
        keys=derive(bytes(32)),
        terms={terms.id: terms},
        default_terms=terms,
        # No limit but DNS's own: what is slow here is the machine.
        checks=arrange(check.make(deadline_s=PATIENCE_S) for check in (spf, dkim, dmarc, arc)),
        rules=rules,
        recorder=Ear(),
        resolver=resolver or ZoneResolver(zone if isinstance(zone, Zone) else Zone(zone or {})),
    )
    session = Session(
        id="c_1",
        door=Door.SMTP,
        listener="mx",
        peer_address="127.0.0.1",
        is_trusted_peer=True,
        client_address=client,
        helo=helo,
    )
    forwards = (ForwardPath(path=path("bob@house.example")),)
    envelope = Envelope(reverse_path=path(mail_from) if mail_from else None, forward_paths=forwards)
    answer = await gate.enforce(
        Intake(session=session, envelope=envelope, raw=octets, is_normalised=bool(changes))
    )
    assert answer.reply is None, answer.reply
    header = re.sub(rb"\r?\n(?=[ \t])", b"", answer.raw.partition(b"\r\n\r\n")[0]).decode("utf-8", "replace")
    named = [line.partition(":") for line in header.split("\r\n") if line.lower().startswith("authentication-results")]
    values = [value.strip() for _, _, value in named]
    return Told(answer.raw, tuple(value for value in values if value.lower().startswith(authserv_id.lower())))
