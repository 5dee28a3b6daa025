"""What is sent, and when: the sample mail, then a spammer on three days, an objection, and an annulment."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filterd import app
from filterd.clients.clock import FILE_NAME, set_clock
from filterd.demo import letters
from filterd.demo.letters import Header
from filterd.demo.outcome import Sent, code_of
from filterd.demo.post import Post
from filterd.demo.sample import Sample
from filterd.demo.samples import samples
from filterd.demo.setting import APPEALS, HOME, RESTRICTED, TENANTS, Signer

SPAMMER = f"mallory@{HOME['zh']}"
FRIEND = "friend@partner.example"
# Much for an hour is 60 recipients, a burst is 100 in ten minutes, and a run of more than 100 that are both content and
# behaviour weighs more: 180 recipients a day are enough for all of it.
MAILS, RECIPIENTS = 60, 3
# Day, language of the adverts, and the standing that this run leads to.
DAYS = ((0, "en", "warned"), (2, "zh", "restricted"), (4, "en", "suspended"))

_NOTICES_WITHIN_S = 15.0
# What a notice follows, and how long somebody may be asked again for it.
_TOLD = ("sanction.imposed", "hold.placed", "objection.filed", "strike.annulled")
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One day of the spammer: how often which reply was given, and the account afterwards."""

    day: int
    language: str
    replies: Counter[str]
    points: float
    standing: str
    expected: str


@dataclass(slots=True, kw_only=True)
class Told:
    """Everything that was said, for the tables. `claims` are further things that must be so, with whether they are."""

    sent: list[Sent] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    replies: list[tuple[str, str]] = field(default_factory=list)
    suspended: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    after: dict[str, Any] = field(default_factory=dict)
    claims: list[tuple[str, bool]] = field(default_factory=list)

    def wrongs(self) -> Iterator[str]:
        """Say what of the claims is not so."""
        yield from (text for text, is_so in self.claims if not is_so)


class Story:
    """Tells it once. Raises what the doors or the ledger raise when something is broken."""

    def __init__(self, half: app.MailHalf, folder: Path, signer: Signer, start: datetime):
        self._half, self._folder, self._signer, self._start = half, folder, signer, start
        self._token = ""
        self.told = Told()

    async def tell(self) -> Told:
        await self._prepare()
        for number, sample in enumerate(samples(), 1):
            self.told.sent.append(await self._send(number, sample))
        for login in dict.fromkeys(s.sample.login for s in self.told.sent if s.points):
            await self._until_noticed(login or "")
        for day, language, expected in DAYS:
            await self._spam(day, language, expected)
        await self._object()
        await self._undo()
        return self.told

    async def _prepare(self) -> None:
        """The first person, and the tenants; accounts come with their first mail."""
        added = await self._ask("person.add", name="dana", role="moderator")
        self._token = added["token"]
        rows = [{"line": line, **tenant} for line, tenant in enumerate(TENANTS, 2)]
        answer = await self._ask("tenant.import", rows=rows)
        self._claim("the tenants were imported", not answer["errors"] and answer["created"] == len(TENANTS))
        rows = [{"line": line, "login": login} for line, login in enumerate(RESTRICTED, 2)]
        await self._ask("account.import", rows=rows)
        for login in RESTRICTED:
            given = {"features": ["attachments"], "hours": 24, "clause": "4.3.1", "reason": "demonstration"}
            await self._ask("sanction.impose", account=login, **given)

    async def _send(self, number: int, sample: Sample) -> Sent:
        door = "submission" if sample.login is not None else "inbound"
        head = sample.head(number, self._start)
        post = await Post.connect(self._half.ports[door], sample.login, sample.client)
        reply = await post.send(sample.reverse_path, sample.to, sample.raw(head, self._signer))
        await post.close()
        sent = Sent(number=number, sample=sample, message_id=head.message_id, reply=reply)
        if sample.login is not None:
            shown = await self._ask("account.show", account=sample.login)
            sent.points, sent.standing = shown["points"], shown["standing"]
        return sent

    async def _spam(self, day: int, language: str, expected: str) -> None:
        at = self._set(self._start + timedelta(days=day, hours=1))
        post = await Post.connect(self._half.ports["submission"], SPAMMER)
        replies: Counter[str] = Counter()
        for number in range(MAILS):
            to = [f"user{number}@strangers{each}.example" for each in range(RECIPIENTS)]
            head = Header(sender=SPAMMER, to=to[0], at=at, tag=f"advert-{day}-{number}")
            reply = await post.send(SPAMMER, to, letters.advert(day * 1000 + number, language, head))
            replies[code_of(reply)] += 1
        await post.close()
        await self._until_noticed(SPAMMER)
        shown = await self._ask("account.show", account=SPAMMER)
        run = Run(
            day=day,
            language=language,
            replies=replies,
            points=shown["points"],
            standing=shown["standing"],
            expected=expected,
        )
        self.told.runs.append(run)
        self._claim(f"after day {day} the spammer is {expected} (is {run.standing})", run.standing == expected)

    async def _object(self) -> None:
        """The suspended account is refused, and can still write to the appeals address."""
        at = self._set(self._start + timedelta(days=4, hours=2))
        post = await Post.connect(self._half.ports["submission"], SPAMMER)
        for name, to, code, what in (
            ("clean", FRIEND, "550 5.7.13", "a harmless letter, while suspended"),
            ("appeal", APPEALS, "250", "an objection to the appeals address"),
        ):
            raw = letters.plain(name, "zh", Header(sender=SPAMMER, to=to, at=at, tag=f"after-{name}"))
            reply = await post.send(SPAMMER, [to], raw)
            self.told.replies.append((what, reply))
            self._claim(f"{what} gets {code}", code_of(reply) == code)
        await post.close()
        await self._until_noticed(SPAMMER)
        self.told.suspended = await self._ask("account.show", account=SPAMMER)

    async def _undo(self) -> None:
        """Undo exists: a person grants the objection, and the ladder is computed again without that strike."""
        suspensions = {s["sanction_id"] for s in self.told.suspended["sanctions"] if s["rung"] == "suspend"}
        mine = [a for a in await self._ask("appeal.list") if a["sanction_id"] in suspensions]
        self._claim("the objection by mail was recorded", bool(mine))
        if mine:
            reason = "demonstration of an annulment"
            await self._ask("appeal.decide", appeal=mine[0]["appeal_id"], outcome="granted", reason=reason)
            await self._until_noticed(SPAMMER)
        self.told.after = await self._ask("account.show", account=SPAMMER)
        self.told.history = await self._ask("account.history", account=SPAMMER)
        fell = self.told.after["points"] < self.told.suspended["points"] and self.told.after["standing"] != "suspended"
        self._claim("the annulment ended the suspension and took the points away", fell)

    async def _until_noticed(self, login: str) -> None:
        """Wait until everything that was done to an account has been told to it."""
        give_up = time.monotonic() + _NOTICES_WITHIN_S
        while time.monotonic() < give_up:
            rows = await self._ask("account.history", account=login)
            if all(_is_told(rows, index) for index, row in enumerate(rows) if row["kind"] in _TOLD):
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        self._claim(f"{login} got its notices", is_so=False)

    def _set(self, at: datetime) -> datetime:
        set_clock(self._folder / FILE_NAME, at)
        return at

    def _claim(self, text: str, is_so: bool) -> None:
        self.told.claims.append((text, is_so))

    async def _ask(self, verb: str, **arguments: Any) -> Any:
        return await self._half.ledger.call(verb, {"token": self._token, **arguments})


def _is_told(rows: list[dict[str, Any]], index: int) -> bool:
    incident = rows[index]["incident_id"]
    return any(row["kind"] == "notice.sent" and incident in row["incident_ids"] for row in rows[index:])
