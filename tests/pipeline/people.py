"""A house with people in it: who act by their tokens, on a real ledger, for the tests of what people do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filterd.config import Config
from filterd.ledger.codec import decode_record
from filterd.model import records as r
from filterd.model.principal import Account
from tests.kit.house import House, letter

CONFIG: dict[str, Any] = {
    "listener": [{"name": "submission", "attribution": "xclient", "direction": "outbound"}],
    "notices": {"appeals_address": "appeals@provider.example", "merge_s": 60, "sender": "Mail <desk@provider.example>"},
}
ALICE, BOB = "alice@cust.example", "bob@other.example"
ANN = "ann@acme.example"
VIRUS = "virus.signature.match"
DAY = 86_400
TOLD = "termination_proposed"
TENANT_TOLD = "tenant_termination_proposed"


class Office(House):
    """A house with a roster. `token` by name."""

    def __init__(self, folder: Path, config: Config):
        super().__init__(folder=folder, config=config)
        self.tokens: dict[str, str] = {}

    async def hire(self, *names: str, role: str = "moderator", **more: Any) -> None:
        """Add people as root, once the first one is there."""
        for name in names:
            wanted = {"name": name, "role": role, "as_root": True, **more}
            self.tokens[name] = (await self.ledger.call("person.add", wanted))["token"]

    async def act(self, name: str, verb: str, /, **arguments: Any) -> Any:
        """Have somebody do something."""
        return await self.ledger.call(verb, {"token": self.tokens[name], **arguments})

    async def mailbox(self, login: str = ALICE) -> Account:
        """Have first mail make an account."""
        ref = await self.ledger.account_for(login, may_create=True)
        assert ref is not None
        found = self.engine.run(lambda txn: txn.account(ref.account_id))
        assert found is not None
        return found

    async def reselling(self, by: str, **more: Any) -> Account:
        """Have a tenant of the Aliyun agreement, and one mailbox of it."""
        row = {
            "line": 2, "name": "Acme", "domains": "acme.example", "agreement": "aliyun-mail", "reseller": "Jiang Ltd",
            **more,
        }  # fmt: skip
        said = await self.act(by, "tenant.import", rows=[row])
        assert said["errors"] == [], said
        return await self.mailbox(ANN)

    async def suspend(self, by: str, login: str = ALICE, **more: Any) -> str:
        """Have a person suspend an account without an end; say the sanction."""
        await self.mailbox(login)
        wanted = {"account": login, "rung": "suspend", "clause": "4.3.1", "reason": "for cause", **more}
        return str((await self.act(by, "sanction.impose", **wanted))["sanction_id"])

    async def spread(self, login: str = ALICE, *, subject: str = "v") -> Any:
        """Have an account send a virus."""
        self.script.codes = (VIRUS,)
        return await self.send(letter(subject, sender=login), BOB, login=login)

    def records(self, subject_id: str) -> tuple[Any, ...]:
        return self.engine.run(lambda txn: txn.records(subject_id))

    def site(self, kind: type[Any]) -> list[Any]:
        return [x for x in self.records("site") if isinstance(x, kind)]

    def personal(self, account_id: str, kind: type[Any]) -> list[Any]:
        """Say the sealed parts of an account's rows of a kind."""
        found = self.engine.run(lambda txn: txn.opened_entries(account_id))
        return [x.personal for x in found if isinstance(decode_record(x.entry.kind, x.entry.body), kind)]

    async def told(self, account: Account, *channels: str, template: str = TOLD) -> None:
        """Say that channels have accepted a notice about the account now."""
        for number, channel in enumerate(channels):
            sent = r.NoticeSent(
                at=self.clock.now(),
                notice_id=f"m_{template}{number}{self.clock.now().timestamp():.0f}",
                account_id=account.account_id,
                incident_ids=(),
                template=template,
                languages=("en",),
                channel=channel,
                outcome="accepted",
                deemed_at=self.clock.now(),
                body_digest="",
            )
            self.engine.run(
                lambda txn, sent=sent: txn.append(sent, account_id=account.account_id, tenant_id=account.tenant_id)
            )

    def told_tenant(self, tenant_id: str, *channels: str, template: str = TENANT_TOLD) -> None:
        """Say that channels have accepted a notice about the tenant now."""
        now = self.clock.now()
        for channel in channels:
            sent = r.NoticeSent(
                at=now,
                notice_id=f"m_{channel}{now.timestamp():.0f}",
                account_id="",
                incident_ids=(),
                template=template,
                languages=("en",),
                channel=channel,
                outcome="accepted",
                deemed_at=now,
                body_digest="",
                tenant_id=tenant_id,
            )
            self.engine.run(lambda txn, sent=sent: txn.append(sent, account_id=None, tenant_id=tenant_id))

    async def standing(self, login: str = ALICE) -> str:
        return str((await self.show(login))["standing"])

    def promised(self) -> list[str]:
        """Say what the outbox holds, by event or template."""
        waiting = self.engine.run(lambda txn: txn.outbox.pending())
        told = (item.payload.get("templates") or [item.payload.get("event")] for item, _, _ in waiting)
        return sorted(name for names in told for name in names)

    def at(self, text: str) -> datetime:
        return datetime.fromisoformat(text)


@asynccontextmanager
async def open_office(folder: Path, *, follow_up: Any = None, **tables: Any) -> AsyncIterator[Office]:
    """Open one; `tables` go into its configuration."""
    office = Office(folder, Config.model_validate({**CONFIG, **tables, "node": {"state_dir": str(folder)}}))
    office.follow_up = follow_up
    await office.open()
    try:
        yield office
    finally:
        await office.close()
