"""prop_c1_locked, of what lists find: with hits and without, a house says and does the same, to the last octet.

STANDING 7.1, HOUSE rule 9. Two houses get the same mail. In one of them two people have let a list of a locked category
run that knows words of it, in the other they have let one run that knows none. Replies, mails, events, rows, notices,
metrics and standing must not differ; only the vault's sealed cases do.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from filterd.agreement.load import load
from filterd.errors import ConfigError
from filterd.log import EventStream, Log, read_events, stream_files
from filterd.mail.address import parse_forward_path
from filterd.metrics import REGISTRY
from filterd.model.held import HeldState
from filterd.model.sanction import Mode
from filterd.model.session import ForwardPath
from tests.agreement.contract import shipped
from tests.agreement.test_load import KNOWN, TEXT
from tests.pipeline.holding import HoldingOffice, open_holding
from tests.pipeline.locked_rig import LIST, cases, mail, running
from tests.pipeline.people import ALICE, BOB, CONFIG, Office, open_office

# Each example is two houses on a real ledger.
EXAMPLES = max(3, int(os.environ.get("FILTERD_ORACLE_EXAMPLES", "30")) // 10)
INSIDE, DESK, STRANGER = "zoe@cust.example", "appeals@provider.example", "eve@else.example"
# Words of the list, and what else a check finds in the same mail.
HIT, MISS = "the velvet teapot", "the copper kettle"
FOUND = ("content.gambling.model", "content.spam.model", "virus.signature.match", "rate.message.bulk")
# Equal in both houses: the same length, and none of it in any mail.
OTHER = LIST.replace("velvet teapot", "woollen spoon").replace("marmalade jar", "cinnamon pots")
C1 = tuple(c.id for c in shipped().category if c.mode is Mode.C1)

mails = st.lists(
    st.tuples(
        st.sampled_from([HIT, MISS]),
        st.lists(st.sampled_from(FOUND), max_size=2, unique=True),
        st.sampled_from([(BOB,), (INSIDE,), (INSIDE, BOB), (DESK,)]),
        st.sampled_from([ALICE, None]),
        st.sampled_from([0, 1, 30]),
    ),
    min_size=1,
    max_size=5,
)

# Ids by derivation and by chance, digests, keyed hashes, and what people quote of a case.
_RANDOM = re.compile(
    r"[a-z]{1,2}_[0-9a-f]{40}|[a-z]{1,2}_[0-9a-hjkmnp-tv-z]{26}|[0-9a-f]{64}|\b[0-9a-f]{32}\b"
    r"|(?<=case )[0-9a-f]{12}\b|(?<=编号 )[0-9a-f]{12}\b"
)
_ELAPSED = re.compile(r'"elapsed_ms":[0-9.]+')
# How long things took, and what stands for octets that are sealed under a key of chance.
_UNLIKE = re.compile(r"(_seconds|_created|process_|python_)")


@dataclass(frozen=True, slots=True)
class Seen:
    """All that anybody can see of a house."""

    answers: list[str]
    events: list[str]
    log: list[str]
    rows: list[str]
    promised: list[str]
    metrics: dict[tuple[str, str], float]
    standing: str
    queue: list[str]
    hits: int


# Not made smaller: each step costs two houses, and a failure names what differs.
@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@example(sent=[(HIT, [], (BOB,), ALICE, 0), (HIT, ["virus.signature.match"], (BOB,), ALICE, 1)], locked="pol.security")
@given(sent=mails, locked=st.sampled_from(C1))
def test_a_hit_of_a_locked_list_changes_nothing_that_anybody_can_see(sent: list[Any], locked: str) -> None:
    seen = [asyncio.run(lived(text.replace("pol.security", locked), sent)) for text in (LIST, OTHER)]
    with_hits, without = seen
    assert without.hits == 0
    assert with_hits.hits == expected(with_hits, sent)
    for name in ("answers", "events", "log", "rows", "promised", "metrics", "standing", "queue"):
        assert getattr(with_hits, name) == getattr(without, name), name


async def lived(text: str, sent: list[Any]) -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        listener = [{"name": "submission", "attribution": "xclient"}]
        async with open_office(Path(folder), **{**CONFIG, "listener": listener}) as office:
            await office.hire("dana", "erin")
            await running(office, text)
            before, answers = measured(), []
            with capture_logs() as log:
                for number, (words, found, recipients, login, hours) in enumerate(sent):
                    office.clock.advance(hours=hours)
                    office.script.codes = tuple(found)
                    raw = mail(f"{words} {number}", sender=login or STRANGER)
                    answer = await office.send(raw, *recipients, login=login)
                    await office.gate.flush()
                    # The words are the same in both houses, so the mail that goes on is, too.
                    answers.append(f"{answer.reply} {answer.raw!r} {answer.edits}")
            return await seen(office, answers, before, log)


async def seen(office: Office, answers: list[str], before: dict[tuple[str, str], float], log: list[Any]) -> Seen:
    found = office.engine.run(lambda txn: txn.recent_entries(1000))
    events = [orjson.dumps(x).decode() for x in events_of(office)]
    # Nobody but who may read such a case learns that there is one.
    queue = await office.ledger.call("review.list", {})
    return Seen(
        answers=alike(answers),
        events=alike(events),
        log=alike([str({key: value for key, value in line.items() if key != "elapsed_ms"}) for line in log]),
        rows=alike([f"{x.entry.kind} {x.entry.body.decode()} {sorted(x.personal or {})}" for x in reversed(found)]),
        promised=office.promised(),
        metrics=risen(before),
        standing=await office.standing() if await office.logins() else "",
        queue=alike([str(row) for row in queue]),
        hits=len(cases(office)),
    )


def events_of(office: Office) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in event.items() if key not in ("at", "elapsed_ms", "verdicts")}
        for event in read_events(stream_files(office.folder / "events"))
    ]


def expected(said: Seen, sent: list[Any]) -> int:
    """Mail of an account, with the words, to somebody outside, that went on; the same one once."""
    return sum(
        words == HIT and login is not None and BOB in recipients and answer.startswith("None ")
        for (words, _, recipients, login, _), answer in zip(sent, said.answers, strict=True)
    )


def alike(lines: list[str]) -> list[str]:
    """Ids and digests by when they were first seen: they are of chance, or of an id of chance."""
    names: dict[str, str] = {}
    return [_RANDOM.sub(lambda x: names.setdefault(x[0], f"<{len(names)}>"), _ELAPSED.sub("", line)) for line in lines]


def measured() -> dict[tuple[str, str], float]:
    return {
        (sample.name, orjson.dumps(sample.labels, option=orjson.OPT_SORT_KEYS).decode()): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
    }


# --- a list that has mail held for a person ---------------------------------------------------------------------------

_QUEUED = re.compile(r'(?<=queued as )[0-9A-Za-z]+|(?<="queue_id":")[^"]+')
# Rows of the site, for what was taken must be on record: in the stream they have no body.
_HELD = ("mail.held", "mail.moved")


@pytest.mark.slow
async def test_a_hit_that_holds_mail_shows_nowhere_but_in_its_case(tmp_path: Path) -> None:
    """Mail with the words, before it and behind it; a while later it went on. Of another house it went at once."""
    holds = 'on_hit = "hold_for_person"\nterms ='
    seen = []
    for name, text in (("hit", LIST), ("none", OTHER)):
        (tmp_path / name).mkdir()
        seen.append(await held_or_not(tmp_path / name, text.replace("terms =", holds, 1)))
    with_hit, without = seen
    assert (with_hit.pop("held"), without.pop("held")) == (["delivered"], [])
    for name in with_hit:
        assert with_hit[name] == without[name], name


async def held_or_not(folder: Path, text: str) -> dict[str, Any]:
    async with open_holding(folder) as office:
        await office.hire("dana", "erin")
        await running(office, text)
        stream = EventStream(folder / "ledger-events", "t.ledger", office.clock.now)
        ledger = Log(stream, pseudonym_key=b"k" * 32)
        account = await office.mailbox()
        office.engine.on_entries(lambda rows: [ledger.entry(x) for x in rows])
        before, answers = measured(), []
        with capture_logs() as log:
            for number, words in enumerate((MISS, HIT, MISS)):
                answers.append(await carried(office, mail(f"{words} {number}")))
            await office.gate.flush()
            at_once = without_commits(risen(before))
            answers.append(await office.strike(hours=4))
            await office.carry()
        later = without_commits(risen(before))
        told = [x for x in read_events(stream_files(folder / "ledger-events")) if x["kind"] not in _HELD]
        rows = office.engine.run(lambda txn: txn.recent_entries(1000))
        held = office.engine.run(lambda txn: txn.held_mails(tuple(HeldState), is_for_person=True))
        found = {
            "held": [x.state.value for x in held],
            "answers": answers,
            "arrived": sorted(_RANDOM.sub("ID", x.raw.decode()) for x in office.sink.messages),
            "events": [orjson.dumps(x).decode() for x in events_of(office)],
            "told": [f"{x['kind']} {x['tx']} {x['account_id']} {x['body']}" for x in told],
            "log": [str({k: v for k, v in x.items() if k not in ("elapsed_ms", "seq")}) for x in log],
            "rows": [f"{x.entry.kind} {x.entry.body.decode()}" for x in rows if x.entry.kind not in _HELD],
            "account": [str(x) for x in office.records(account.account_id)],
            "promised": office.promised(),
            "metrics": at_once,
            "later": later,
            "queue": len(await office.items(all=True)),
        }
    plain = ("held", "answers", "arrived", "promised", "metrics", "later", "queue")
    return {k: v if k in plain else alike([_QUEUED.sub("ID", x) for x in v]) for k, v in found.items()}


def risen(before: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    return {key: value - before.get(key, 0) for key, value in measured().items() if not _UNLIKE.search(key[0])}


def without_commits(rise: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """Here a reader asks the ledger each time it looks, and looks at mail that goes on once more; what workers carry
    later is among their polls."""
    return {key: value for key, value in rise.items() if key[0] != "filterd_ledger_commits_total"}


async def carried(office: HoldingOffice, raw: bytes) -> str:
    """Do as the door does (doors/smtp_finish); say what the client reads."""
    answer = await office.submit(raw)
    lease = await office.relay.lease()
    try:
        await lease.mail(None, ())
        await lease.rcpt(ForwardPath(path=parse_forward_path(f"<{BOB}>".encode())))
        (reply,) = lease.taken(raw) if answer.is_plain else await lease.data(answer.raw)
    finally:
        await lease.close()
    await office.gate.delivered(answer.transaction_id, reply, 0)
    return _QUEUED.sub("ID", str(reply))


@pytest.mark.parametrize(
    "code", ["content.political.terms", "content.pol.terms", "pol.security.terms", "locked.list.hit"]
)
def test_no_rule_can_name_what_a_locked_list_finds(code: str) -> None:
    """There is no finding of it, under any name."""
    rule = f'\n[[rule]]\nfinding = "{code}"\ncategory = "spam.outbound"\nalone = "refuse"\n'
    with pytest.raises(ConfigError, match="no check gives the finding"):
        load((TEXT + rule).encode(), "terms.toml", KNOWN)
