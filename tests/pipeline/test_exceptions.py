"""The operator's lists on the walk of a mail: at RCPT, after the dot, and what they never touch.  EXCEPTIONS.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from filterd import app
from filterd.agreement.exceptions import ExceptionTable
from filterd.checks.spec import Check, Context
from filterd.clients.exception_files import load_exceptions
from filterd.config import Config
from filterd.mail.address import parse_forward_path, parse_reverse_path
from filterd.model.reply import Reply
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.model.verdict import AuthResult, Verdict
from filterd.ports import Answer, Intake
from tests.kit.house import House, letter

pytestmark = pytest.mark.slow

CONFIG = {
    "listener": [
        {"name": "submission", "attribution": "xclient", "direction": "outbound"},
        {"name": "inbound", "direction": "inbound", "port": 10029},
        {"name": "proxied", "direction": "inbound", "port": 10030, "selective_rcpt": False},
        {"name": "queue", "direction": "inbound", "after_queue": True, "port": 10031},
    ],
    "inbound": {"spam": "reject"},
    "notices": {"appeals_address": "appeals@provider.example"},
}
BOB, EVE, ABUSE = "bob@cust.example", "eve@cust.example", "abuse@cust.example"
ALICE = "alice@cust.example"
SPAM, VIRUS = ("content.spam.model",), ("virus.signature.match",)
BURST = (*SPAM, "rate.burst.running")
HEAD = 'by = "op"\nreason = "for a test"'
LISTS = f"""
[[deny]]
id = "net"
{HEAD}
client = ["192.0.2.0/24"]
text = "Your network is closed here"

[[deny]]
id = "slow"
{HEAD}
client = ["198.51.100.7"]
reply = "defer"

[[accept]]
id = "abuse-desk"
{HEAD}
recipient = ["{ABUSE}"]
skip = ["deny", "spam"]

[[accept]]
id = "partner"
{HEAD}
sender = ["partner.example"]
authenticated = ["spf"]
skip = ["spam"]
mark_only = true

[[exception]]
id = "eve-strict"
{HEAD}
recipient = ["{EVE}"]
spam_at = 0.4
spam = "reject"

[[deny]]
id = "rival"
{HEAD}
direction = "outbound"
recipient = [".rival.example"]
"""


@dataclass
class Fixed:
    table: ExceptionTable

    async def current(self) -> ExceptionTable:
        return self.table


@dataclass
class Rig:
    """A house with lists, and a check that finds, scores and authenticates as told."""

    house: House
    scores: tuple[tuple[str, float], ...] = ()
    results: tuple[AuthResult, ...] = ()

    def equip(self, text: str, folder: Path) -> None:
        file = folder / "list.toml"
        file.write_text(text)
        house = self.house
        scripted = house.script.check()

        async def run(context: Context) -> Verdict:
            said = await house.script.run(context)
            return Verdict(
                check=said.check,
                version=said.version,
                outcome=said.outcome,
                findings=said.findings,
                scores=self.scores,
                results=self.results,
            )

        check = Check(
            name=scripted.name,
            version=scripted.version,
            codes=scripted.codes,
            run=run,
            deadline_s=scripted.deadline_s,
            fail_mode=scripted.fail_mode,
        )
        house.gate = house.gate.adopt(
            terms=house.agreements,
            default_terms=house.terms(),
            checks=(check,),
            rules=app.gate_rules(house.config),
            resolver=None,
            exceptions=Fixed(ExceptionTable(load_exceptions([file]))),
        )

    def session(self, client: str, listener: str = "inbound", login: str | None = None, name: str = "c_1") -> Session:
        return Session(
            id=name,
            door=Door.SMTP,
            listener=listener,
            peer_address="127.0.0.1",
            is_trusted_peer=True,
            client_address=client,
            login=login,
            login_source="xclient" if login else None,
        )

    async def rcpt(
        self, *recipients: str, client: str = "203.0.113.9", sender: str | None = None, **more: Any
    ) -> list[tuple[int, str | None] | None]:
        """Ask for each recipient of one transaction; the ones let in count."""
        session, accepted, out = self.session(client, **more), 0, []
        for recipient in recipients:
            reply: Reply | None = await self.house.gate.admit(
                session, _reverse(sender), parse_forward_path(f"<{recipient}>".encode()), accepted
            )
            accepted += reply is None
            out.append(None if reply is None else (reply.code, reply.enhanced))
        return out

    async def send(
        self, *recipients: str, client: str = "203.0.113.9", sender: str | None = None, **more: Any
    ) -> Answer:
        forwards = tuple(ForwardPath(path=parse_forward_path(f"<{r}>".encode())) for r in recipients)
        envelope = Envelope(reverse_path=_reverse(sender), forward_paths=forwards)
        author = sender or "ann@partner.example"
        raw = letter(sender=author if "login" not in more else ALICE)
        return await self.house.gate.enforce(Intake(session=self.session(client, **more), envelope=envelope, raw=raw))

    def last(self, event: str = "decided") -> dict[str, Any]:
        return self.house.events(event)[-1]


def _reverse(sender: str | None) -> Any:
    return parse_reverse_path(f"<{sender or ''}>".encode())


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    house = await House(folder=tmp_path, config=config).open()
    made = Rig(house)
    made.equip(LISTS, tmp_path)
    yield made
    await house.close()


def code(answer: Answer) -> int | None:
    return answer.reply.code if answer.reply is not None else None


def followed(event: dict[str, Any]) -> dict[str, list[tuple[str, bool]]]:
    out: dict[str, list[tuple[str, bool]]] = {}
    for one in event.get("exceptions") or event.get("decision", {}).get("exceptions", ()):
        out.setdefault(one["topic"], []).append((one["id"], one["is_followed"]))
    return out


# --- at RCPT ----------------------------------------------------------------------------------------------------------


async def test_a_listed_client_is_refused_at_rcpt_but_for_the_desk_that_takes_it(rig: Rig) -> None:
    assert await rig.rcpt(BOB, ABUSE, client="192.0.2.77") == [(550, "5.7.1"), None]
    event = rig.last("denied")
    assert followed(event) == {"deny": [("net", True)]}
    assert event["exceptions"][0]["file"].endswith("list.toml")
    assert event["exceptions"][0]["line"] == 2
    assert await rig.rcpt(BOB, client="198.51.100.7") == [(451, "4.7.1")]
    assert await rig.rcpt(BOB, client="::ffff:192.0.2.77") == [(550, "5.7.1")]
    assert await rig.rcpt(BOB) == [None]


async def test_the_operators_words_are_said_and_nothing_of_the_rule(rig: Rig) -> None:
    reply = await rig.house.gate.admit(rig.session("192.0.2.77"), None, parse_forward_path(f"<{BOB}>".encode()))
    assert reply is not None
    assert "Your network is closed here." in reply.text
    assert "appeals@provider.example" in reply.text
    assert "192.0.2" not in reply.text
    assert reply.text.startswith("M-LISTED ")


async def test_recipients_for_whom_other_choices_hold_are_asked_for_apart(rig: Rig) -> None:
    assert await rig.rcpt(BOB, EVE, "carl@cust.example", ABUSE) == [None, (452, "4.5.3"), None, (452, "4.5.3")]
    # Each finds its own transaction, and where recipients cannot be answered apart nobody is put off.
    assert await rig.rcpt(EVE) == [None]
    assert await rig.rcpt(BOB, EVE, listener="proxied") == [None, None]


async def test_behind_the_queue_nothing_is_refused_at_rcpt_and_a_refusal_waits_instead_of_bouncing(rig: Rig) -> None:
    assert await rig.rcpt(BOB, EVE, client="192.0.2.77", listener="queue") == [None, None]
    answer = await rig.send(BOB, client="192.0.2.77", listener="queue")
    assert code(answer) == 451


async def test_the_appeals_address_takes_mail_from_anywhere(rig: Rig) -> None:
    assert await rig.rcpt("appeals@provider.example", client="192.0.2.77") == [None]
    assert code(await rig.send("appeals@provider.example", client="192.0.2.77")) is None


async def test_a_client_nobody_names_is_in_no_list(rig: Rig, tmp_path: Path) -> None:
    rig.equip(f'[[deny]]\nid = "lo"\n{HEAD}\nclient = ["127.0.0.0/8"]\n', tmp_path)
    session = rig.session("127.0.0.2")
    unnamed = Session(
        id="c", door=Door.SMTP, listener="inbound", peer_address="127.0.0.1", is_trusted_peer=True, client_address=None
    )
    forward = parse_forward_path(f"<{BOB}>".encode())
    # A door that is told nothing says the peer's own address.
    for one in (unnamed, replace(unnamed, client_address="127.0.0.1")):
        assert await rig.house.gate.admit(one, None, forward) is None
    assert await rig.house.gate.admit(session, None, forward) is not None


async def test_standing_comes_before_the_lists(rig: Rig) -> None:
    assert await rig.rcpt("x@rival.example", listener="submission", login=ALICE) == [(550, "5.7.1")]
    rig.house.script.codes = BURST
    for day in range(3):
        await rig.send(*(f"p{day}.{n}@other.example" for n in range(300)), listener="submission", login=ALICE)
        await rig.house.notice_received()
        rig.house.clock.advance(days=2 if day < 2 else 0)
    assert await rig.rcpt("x@rival.example", listener="submission", login=ALICE) == [(550, "5.7.13")]


async def test_the_policy_door_refuses_strangers_by_the_lists(rig: Rig) -> None:
    session = Session(
        id="p",
        door=Door.POLICY,
        listener="policy",
        peer_address="127.0.0.1",
        is_trusted_peer=True,
        client_address="192.0.2.5",
    )
    said = await rig.house.gate.screen(session, None, parse_forward_path(f"<{BOB}>".encode()))
    assert said is not None
    assert said.code == 550
    assert await rig.house.gate.screen(session, None, parse_forward_path(f"<{ABUSE}>".encode())) is None


# --- after the dot ----------------------------------------------------------------------------------------------------


async def test_the_spam_choice_is_skipped_for_the_desk_alone(rig: Rig) -> None:
    rig.house.script.codes = SPAM
    assert code(await rig.send(BOB)) == 550
    assert code(await rig.send(ABUSE)) is None
    assert followed(rig.last()) == {"deny": [("abuse-desk", True)], "spam": [("abuse-desk", True)]}


async def test_of_recipients_that_differ_the_strictest_answer_is_for_all(rig: Rig) -> None:
    rig.house.script.codes = SPAM
    answer = await rig.send(ABUSE, BOB)
    assert code(answer) == 550
    assert any(x["code"] == "exception.recipients" for x in rig.last()["decision"]["reasons"])


async def test_a_virus_is_refused_whatever_is_listed(rig: Rig) -> None:
    rig.house.script.codes = (*VIRUS, *SPAM)
    assert code(await rig.send(ABUSE)) == 550
    rig.results = (_spf("partner.example"),)
    assert code(await rig.send(BOB, sender="ann@partner.example")) == 550


def _spf(domain: str, word: str = "pass") -> AuthResult:
    return AuthResult(method="spf", result=word, properties=(("smtp.mailfrom", domain),))


@pytest.mark.parametrize(
    ("result", "expected"),
    [(_spf("partner.example"), None), (_spf("partner.example", "fail"), 550), (_spf("evil.example"), 550)],
)
async def test_a_sender_is_taken_only_when_it_is_proven(rig: Rig, result: AuthResult, expected: int | None) -> None:
    rig.house.script.codes, rig.results = SPAM, (result,)
    answer = await rig.send(BOB, sender="ann@partner.example")
    assert code(answer) == expected
    if expected is None:
        assert b"X-Spam-Flag: YES" in answer.raw


@pytest.mark.parametrize(("score", "expected"), [(0.39, None), (0.41, 550)])
async def test_a_threshold_of_its_own(rig: Rig, score: float, expected: int | None) -> None:
    """Lower than the model's for one recipient, and where it is not reached the model's own word does not count."""
    rig.scores = (("spam", score),)
    rig.house.script.codes = SPAM if score < 0.4 else ()
    assert code(await rig.send(EVE)) == expected
    rig.house.script.codes = ()
    assert code(await rig.send(BOB)) is None


async def test_what_the_lists_refuse_after_the_dot_is_told_with_their_words(rig: Rig) -> None:
    answer = await rig.send(BOB, client="192.0.2.77")
    assert answer.reply is not None
    assert "Your network is closed here." in answer.reply.text
    reasons = rig.last()["decision"]["reasons"]
    assert [(x["code"], x["ids"]) for x in reasons] == [("exception.deny", ["net"])]


async def test_what_an_account_answers_for_is_untouched(rig: Rig, tmp_path: Path) -> None:
    """No entry that takes mail has a word about mail of our own accounts: the strike is counted, the mail refused."""
    rig.equip(
        f'[[accept]]\nid = "a"\n{HEAD}\nrecipient = ["other.example"]\nskip = ["deny", "spam", "phishing"]\n', tmp_path
    )
    rig.house.script.codes = VIRUS
    answer = await rig.send("bob@other.example", listener="submission", login=ALICE)
    assert code(answer) == 550
    assert followed(rig.last()) == {}
    assert (await rig.house.show(ALICE))["points"] == 4


async def test_mail_of_our_own_to_a_listed_recipient_is_refused_without_points(rig: Rig) -> None:
    answer = await rig.send("x@sub.rival.example", listener="submission", login=ALICE)
    assert answer.reply is not None
    assert (answer.reply.code, answer.reply.enhanced) == (550, "5.7.1")
    assert (await rig.house.show(ALICE))["points"] == 0
    # Not about strangers: theirs goes on.
    assert code(await rig.send("x@rival.example")) is None


@pytest.mark.parametrize(
    "make", [lambda rig: rig.send(BOB), lambda rig: rig.send(BOB, listener="submission", login=ALICE)]
)
async def test_without_lists_nothing_changes(rig: Rig, tmp_path: Path, make: Callable[[Rig], Any]) -> None:
    rig.equip("", tmp_path)
    assert code(await make(rig)) is None
    assert followed(rig.last()) == {}
