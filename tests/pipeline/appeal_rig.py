"""A house with people and breaches, for tests of what people decide."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete

from filterd.ledger.schema import EVIDENCE
from filterd.model import records as r
from filterd.model.records import Record
from tests.kit.house import House, letter

ALICE, BOB = "alice@cust.example", "bob@other.example"
BURST = ("content.spam.model", "rate.burst.running")
DAY_S = 24 * 3600.0


class Scene:
    """What the tests of appeals do, in words."""

    def __init__(self, house: House):
        self.house = house
        self._numbers = iter(range(1, 10_000))

    async def person(self, name: str, role: str = "appeals_reviewer") -> str:
        """Add somebody; say the token, which is their name."""
        await self.house.engine.submit(lambda txn: txn.put_person(name, role, f"ft_{name}"))
        return f"ft_{name}"

    async def breach(self, *codes: str, login: str = ALICE, to: int = 1, noticed: bool = True) -> str:
        """One mail in breach; says its incident's id. Its notice is received two minutes later."""
        self.house.script.codes = codes or ("virus.signature.match",)
        recipients = [f"r{n}@other.example" for n in range(to)]
        await self.house.send(letter(f"s{next(self._numbers)}"), *recipients, login=login)
        self.house.script.codes = ()
        if noticed:
            await self.house.notice_received()
        incidents = [x for x in await self.records(login) if isinstance(x, r.IncidentOpened)]
        return incidents[-1].incident_id

    async def climb(self, *days: float, login: str = ALICE) -> list[str]:
        """One breach on each of these days after the first; says the incidents."""
        out = []
        for day in days:
            self.house.clock.advance(day * DAY_S)
            out.append(await self.breach(login=login))
        return out

    async def records(self, login: str = ALICE) -> tuple[Record, ...]:
        def look(txn: Any) -> tuple[Record, ...]:
            return tuple(txn.records(txn.find_account(login).account_id))

        return await self.house.engine.submit(look)

    async def call(self, verb: str, token: str = "", **arguments: Any) -> Any:
        return await self.house.ledger.call(verb, {"token": token, **arguments})

    async def appeal(self, target: str = ALICE, token: str = "ft_ann") -> str:
        """File one, and say the id of the newest open appeal."""
        said = await self.call("appeal.file", token, target=target)
        return str(next(x["appeal_id"] for x in reversed(said["appeals"]) if x["outcome"] is None))

    async def lose_evidence(self) -> None:
        """As a broken disk would."""

        def lose(txn: Any) -> None:
            txn.connection.execute(delete(EVIDENCE))

        await self.house.engine.submit(lose)

    async def promised(self, login: str = ALICE) -> list[str]:
        """Say the notices in the outbox, by name."""
        out: list[str] = []
        for item, _, _ in await self.house.engine.pending():
            out += [item.payload["event"]] if "event" in item.payload else item.payload["templates"]
        return out
