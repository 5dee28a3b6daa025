"""Several versions of one agreement: which counts, and what a change does to an act before it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd import app
from filterd.agreement.decide import decide
from filterd.agreement.fold import apply
from filterd.agreement.sections import LadderStep
from filterd.agreement.standing import standing_at
from filterd.agreement.supplement import effective_terms, pinned_terms, terms_at_decision
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import (
    begins_at,
    conflict,
    decide_between,
    in_force,
    milder,
    shelved,
    versions,
)
from filterd.config import Config
from filterd.errors import ConfigError
from filterd.ledger.codec import decode_record
from filterd.model import records as r
from filterd.model.decision import Case, Decision
from filterd.model.principal import Supplement, Tenant
from filterd.model.sanction import Preset, Rung
from filterd.model.standing import History
from filterd.share import path
from tests.agreement.cases import NOON, case
from tests.agreement.contract import shipped
from tests.kit.house import START, House, letter

pytestmark = pytest.mark.slow

TEXT = path("policies/agreements/tencent-exmail.toml").read_text(encoding="utf-8")
CHANGE = datetime(2026, 6, 1, tzinfo=UTC)
LATER = timedelta(hours=3)


def version(name: str, since: datetime, ladder: tuple[LadderStep, ...] | None = None, **changes: object) -> Agreement:
    said = {"version": name, "effective_from": since, "digest": name, "ladder": ladder or shipped().ladder}
    return shipped().model_copy(update=said | changes)


def step(at: float, rung: str, hours: int | None = None) -> LadderStep:
    return LadderStep.model_validate({"at": at, "rung": rung, "hours": hours})


WARN = step(0.5, "warn")
OLD = version("old", CHANGE - timedelta(days=90))
NEW = version("new", CHANGE)


# --- which one counts -------------------------------------------------------------------------------------------------


def test_the_version_in_force_at_the_act_counts() -> None:
    coming = version("coming", CHANGE + timedelta(days=90))
    shelf = shelved([NEW, coming, OLD], CHANGE)
    assert (list(shelf), shelf["tencent-exmail"].version) == (["tencent-exmail"], "new")
    head = shelf["tencent-exmail"]
    assert [x.version for x in versions(head)] == ["old", "new", "coming"]
    said = [
        in_force(head, at).version
        for at in (
            OLD.effective_from,
            CHANGE - timedelta(microseconds=1),
            CHANGE,
            CHANGE + timedelta(days=90),
            CHANGE + timedelta(days=9000),
        )
    ]
    assert said == ["old", "old", "new", "coming", "coming"]
    # Before all of them the first: an agreement binds from its signature on, whatever its file says.
    assert in_force(head, OLD.effective_from - timedelta(days=1)).version == "old"
    # What was given out stands for itself.
    assert versions(in_force(head, CHANGE)) == (NEW,)


def test_the_order_of_the_files_and_the_instant_of_loading_change_nothing() -> None:
    for now in (CHANGE - timedelta(days=1), CHANGE, CHANGE + timedelta(days=1)):
        for files in ([OLD, NEW], [NEW, OLD]):
            head = shelved(files, now)["tencent-exmail"]
            assert head.version == ("old" if now < CHANGE else "new")
            assert in_force(head, CHANGE - timedelta(days=1)).version == "old"
            assert in_force(head, CHANGE).version == "new"


def test_an_agreement_without_other_versions_is_itself() -> None:
    assert shelved([NEW], CHANGE - timedelta(days=9))["tencent-exmail"] == NEW
    assert in_force(NEW, CHANGE - timedelta(days=9)) is NEW


def test_a_time_without_a_zone_is_the_agreement_s_own() -> None:
    local = version("local", datetime(2026, 6, 1))
    head = shelved([OLD, local], CHANGE)["tencent-exmail"]
    midnight = datetime(2026, 5, 31, 16, tzinfo=UTC)
    assert [in_force(head, at).version for at in (midnight - timedelta(seconds=1), midnight)] == ["old", "local"]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (version("other", CHANGE), "the same effective_from"),
        (version("new", CHANGE + timedelta(days=1)), "the same version"),
        (version("other", CHANGE + timedelta(days=1), supplements="aliyun-mail"), "supplement different agreements"),
    ],
)
def test_two_files_that_cannot_stand_side_by_side_are_refused(other: Agreement, says: str) -> None:
    assert says in (conflict([NEW, other]) or "")
    assert says in (conflict([other, NEW]) or "")
    assert conflict([NEW, OLD]) is None


def test_the_first_day_of_a_supplement_begins_once() -> None:
    def two(zone: str, **more: Any) -> str | None:
        later = version("later", CHANGE + timedelta(days=1), timezone=zone, **more)
        return conflict([version("new", CHANGE, **more), later])

    assert "two time zones" in (two("Europe/Berlin", supplements="aliyun-mail") or "")
    assert two("Asia/Shanghai", supplements="aliyun-mail") is None
    # An agreement of its own may move.
    assert two("Europe/Berlin") is None


def write(folder: Path, name: str, old: str, new: str) -> Path:
    assert old in TEXT
    file = folder / f"{name}.toml"
    file.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    return file


SINCE = "effective_from = 2026-01-01T00:00:00+08:00"


def config(folder: Path, state: Path | None = None) -> Config:
    said = {"agreement": {"directory": str(folder)}, "node": {"state_dir": str(state or folder)}}
    listener = {"name": "submission", "attribution": "xclient", "direction": "outbound"}
    return Config.model_validate(said | {"listener": [listener]})


def two_files(folder: Path) -> Path:
    """The shipped text, and one three hours after START that does not restrict before 100 points."""
    write(folder, "a", SINCE, SINCE)
    later = write(folder, "b", SINCE, f"effective_from = {(START + LATER).isoformat()}")
    text = later.read_text(encoding="utf-8").replace('\nversion = "', '\nversion = "next-', 1)
    # Tables begin at a line with a bracket; what is replaced goes whole.
    tables = [x for x in re.split(r"^(?=\[)", text, flags=re.M) if not x.startswith(("[[ladder]]", "[[example]]"))]
    one = '[[example]]\nname = "nothing"\nacts = []\npoints = 0\nrung = "none"\nat_hour = 0\ndisposition = "accept"\n'
    lenient = '[[ladder]]\nat = 0.5\nrung = "warn"\n\n[[ladder]]\nat = 100\nrung = "restrict"\nhours = 24\n\n'
    later.write_text("".join([*tables, lenient, one]), encoding="utf-8")
    return later


def test_a_folder_may_hold_several_versions_of_one_agreement(tmp_path: Path) -> None:
    two_files(tmp_path)
    found = app.load_agreements(config(tmp_path), START)
    assert list(found) == ["tencent-exmail"]
    rules = app.desk_rules(config(tmp_path), found)
    before, after = rules.terms_for(None, START), rules.terms_for(None, START + LATER)
    assert (after.version, before.digest == after.digest) == (f"next-{before.version}", False)
    assert set(rules.by_digest) == {before.digest, after.digest}


def test_two_files_that_say_the_same_of_themselves_are_refused_with_file_and_key(tmp_path: Path) -> None:
    write(tmp_path, "a", SINCE, SINCE)
    second = write(tmp_path, "b", "# The Tencent", "# the Tencent")
    with pytest.raises(ConfigError, match="the same effective_from") as caught:
        app.load_agreements(config(tmp_path), START)
    assert (str(caught.value).startswith(str(second)), caught.value.key) == (True, "effective_from")


@pytest.mark.parametrize("key", ["digest", "versions"])
def test_what_loading_finds_out_cannot_be_written_into_the_file(tmp_path: Path, key: str) -> None:
    file = write(tmp_path, "a", SINCE, f'{SINCE}\n{key} = "x"')
    with pytest.raises(ConfigError, match="unknown key") as caught:
        app.load_agreements(config(tmp_path), START)
    assert str(caught.value).startswith(f"{file}:")


def test_every_version_is_part_of_what_two_processes_must_share(tmp_path: Path) -> None:
    later = two_files(tmp_path)
    lean = {"spam": {"enabled": False}, "content": {"enabled": False}, "clamd": {"enabled": False}}
    said = Config.model_validate({**config(tmp_path).model_dump(mode="json", exclude_unset=True), **lean})
    first = app.read_policy(said)
    assert len(first.digests) == 2
    assert set(first.digests.values()) == set(first.by_digest)
    later.write_text(later.read_text(encoding="utf-8") + "# a word more\n", encoding="utf-8")
    second = app.read_policy(said).after(first)
    assert second.fingerprint != first.fingerprint
    assert set(first.by_digest) < set(second.by_digest)


# --- an act before a change, decided after it -------------------------------------------------------------------------


def offender(terms: Agreement, acts: int = 2) -> History:
    """Who has been warned and told so, and whose next act the ladder answers."""
    history = History(account_id="a_1")
    for number in range(acts):
        at = NOON + timedelta(days=2 * number)
        item = act(number)
        for record in decide(item, terms, Preset.SUPERVISED, history, item.delivery_keys).records:
            history = apply(history, record)
        told = r.NoticeSent(
            at=at,
            notice_id=f"m_{number}",
            account_id="a_1",
            incident_ids=(history.incidents[-1].opened.incident_id,),
            template="warning",
            languages=("en",),
            channel="mail",
            outcome="accepted",
            deemed_at=at + timedelta(minutes=5),
            body_digest="",
        )
        history = apply(history, told)
    return history


def act(number: int) -> Case:
    return case(
        ["virus.signature.match"],
        at=NOON + timedelta(days=2 * number),
        transaction_id=f"t_{number}",
        evidence_key=f"e_{number}",
        text_fp=f"x_{number}",
        delivery_keys=(f"k_{number}",),
    )


def imposed(decision: Decision) -> list[tuple[Rung, timedelta | None]]:
    return [
        (x.rung, x.ends_at - x.starts_at if x.ends_at else None)
        for x in decision.records
        if isinstance(x, r.SanctionImposed)
    ]


def between(at_act: Agreement, at_decision: Agreement) -> Decision:
    return decide_between(act(2), at_act, at_decision, Preset.SUPERVISED, HISTORY, act(2).delivery_keys)


HISTORY = offender(shipped())
DAY, WEEK = timedelta(hours=24), timedelta(hours=168)
# (ladder, what the act leads to under it)
WARNS = (WARN, step(100, "restrict", 24))
SHORT = (WARN, step(1, "restrict", 24))
LONG = (WARN, step(1, "restrict", 168))
ENDLESS = (WARN, step(1, "restrict"))
SUSPENDS = (WARN, step(1, "suspend", 24))


@pytest.mark.parametrize(
    ("mild", "harsh", "rung"),
    [
        (WARNS, SHORT, Rung.WARN),
        (SHORT, LONG, Rung.RESTRICT),
        (LONG, ENDLESS, Rung.RESTRICT),
        # The rung first: a long restriction is milder than a short suspension.
        (ENDLESS, SUSPENDS, Rung.RESTRICT),
    ],
)
def test_the_version_with_the_milder_sanction_decides(
    mild: tuple[LadderStep, ...], harsh: tuple[LadderStep, ...], rung: Rung
) -> None:
    for at_act, at_decision in (("mild", "harsh"), ("harsh", "mild")):
        two = {"mild": version("mild", CHANGE, mild), "harsh": version("harsh", CHANGE, harsh)}
        said = between(two[at_act], two[at_decision])
        assert (said.policy_digest, imposed(said)[-1][0]) == ("mild", rung)
        (recorded,) = [x for x in said.records if isinstance(x, r.ViolationRecorded)]
        pins = (recorded.policy_digest, recorded.policy_digest_act, recorded.policy_digest_decision)
        assert pins == ("mild", at_act, at_decision)
        assert (said.policy_digest_act, said.policy_digest_decision) == (at_act, at_decision)


def test_where_both_are_equally_mild_the_version_at_the_act_decides() -> None:
    for at_act, at_decision in ((OLD, NEW), (NEW, OLD)):
        assert between(at_act, at_decision).policy_digest == at_act.digest
    # More points are not a harsher sanction.
    dear = version("dear", CHANGE, points=shipped().points.model_copy(update={"after_notice": 2}), ladder=SHORT)
    assert between(version("old", CHANGE, SHORT), dear).policy_digest == "old"
    assert between(dear, version("new", CHANGE, SHORT)).policy_digest == "dear"


def test_what_the_new_version_no_longer_forbids_leads_to_nothing() -> None:
    silent = version("silent", CHANGE, rule=tuple(x for x in shipped().rule if x.category != "malware"))
    for at_act, at_decision in ((OLD, silent), (silent, OLD)):
        said = between(at_act, at_decision)
        assert (said.policy_digest, said.records, said.violations) == ("silent", (), ())
        assert (said.policy_digest_act, said.policy_digest_decision) == (at_act.digest, at_decision.digest)


ladders = st.lists(
    st.tuples(st.sampled_from(["restrict", "suspend"]), st.sampled_from([1, 24, 168, None])), max_size=3
).map(lambda rest: (WARN, *(step(1 + 2 * i, *x) for i, x in enumerate(sorted(rest, key=lambda x: x[0])))))


@settings(max_examples=60, deadline=None)
@given(first=ladders, second=ladders, preset=st.sampled_from(list(Preset)))
def test_no_change_makes_an_act_before_it_dearer(
    first: tuple[LadderStep, ...], second: tuple[LadderStep, ...], preset: Preset
) -> None:
    at_act, at_decision = version("first", CHANGE, first), version("second", CHANGE, second)
    both = [decide(act(2), terms, preset, HISTORY, act(2).delivery_keys) for terms in (at_act, at_decision)]
    chosen = decide_between(act(2), at_act, at_decision, preset, HISTORY, act(2).delivery_keys)

    def weight(decision: Decision) -> tuple[Rung, timedelta]:
        ends = [
            (x.rung, min((e for e in (x.ends_at, x.lapses_at) if e), default=datetime.max.replace(tzinfo=UTC)))
            for x in decision.records
            if isinstance(x, r.SanctionImposed)
        ]
        return max(((rung, end - act(2).at) for rung, end in ends), default=(Rung.NONE, timedelta()))

    assert weight(chosen) == min(weight(x) for x in both)
    is_tie = weight(both[0]) == weight(both[1])
    assert not is_tie or chosen.policy_digest == "first"
    assert milder(both[0], both[1]).policy_digest == chosen.policy_digest


def test_no_change_and_no_way_back_ends_or_revives_a_sanction() -> None:
    """STANDING 5.7-7: what is imposed is a record; the text of tomorrow, and its withdrawal, leave it as it is."""
    under_old = version("old", CHANGE, LONG)
    item = act(2)
    history = HISTORY
    for record in decide(item, under_old, Preset.SUPERVISED, history, item.delivery_keys).records:
        history = apply(history, record)
    others = (version("new", CHANGE, WARNS), version("empty", CHANGE, rule=(), category=(), bulk=()), under_old)
    for at in (item.at, item.at + DAY, item.at + WEEK - timedelta(seconds=1), item.at + WEEK):
        said = [standing_at(history, terms, at).sanctions for terms in (under_old, *others)]
        assert said == [said[0]] * 4
        assert any(s.rung is Rung.RESTRICT for s in said[0]) == (at < item.at + WEEK)


# --- supplements ------------------------------------------------------------------------------------------------------

SIGNED = Supplement(
    agreement="extra", document="C-1", signed_by_provider=date(2026, 1, 1), signed_by_tenant=date(2026, 1, 1)
)
BASE = version("base", CHANGE - timedelta(days=365), id="base")
EXTRA = [x.model_copy(update={"id": "extra", "supplements": "base"}) for x in (OLD, NEW)]
TERMS = shelved([BASE, *EXTRA], CHANGE)


def test_of_a_supplement_too_the_version_in_force_counts() -> None:
    def of(at: datetime, signed: Supplement | None = SIGNED) -> str:
        return effective_terms(TERMS, "base", signed, at).version

    assert [of(CHANGE - timedelta(days=1)), of(CHANGE)] == ["old", "new"]
    assert of(CHANGE, None) == "base"


def test_a_pinned_version_stays_pinned_and_its_successor_is_known() -> None:
    tenant = Tenant(tenant_id="n_1", name="x", agreement="base", supplement=replace(SIGNED, categories=("malware",)))
    pinned = EXTRA[0]
    at_act = pinned_terms(pinned, TERMS, tenant, CHANGE - timedelta(days=1))
    assert (at_act.version, {rule.category for rule in at_act.rule}) == ("old", {"malware"})
    # Also where the mail began under the old text and its time is after the change.
    assert pinned_terms(pinned, TERMS, tenant, CHANGE + timedelta(days=1)).version == "old"
    later = terms_at_decision(at_act, TERMS, tenant, CHANGE)
    assert (later.version, {rule.category for rule in later.rule}) == ("new", {"malware"})
    assert terms_at_decision(at_act, TERMS, tenant, CHANGE - timedelta(days=1)) is at_act
    assert terms_at_decision(at_act, {}, tenant, CHANGE) is at_act


def test_another_agreement_is_no_version_of_this_one() -> None:
    """A tenant that moved is not judged by what did not bind it at the act, however mild."""
    assert terms_at_decision(BASE, TERMS, None, CHANGE + timedelta(days=1)).id == "base"


# --- on a real ledger -------------------------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    folder = tmp_path / "agreements"
    folder.mkdir()
    two_files(folder)
    opened = House(folder=tmp_path, config=config(folder, tmp_path))
    await opened.open()
    opened.script.codes = ("virus.signature.match",)
    yield opened
    await opened.close()


async def spread(house: House, subject: str) -> None:
    await house.send(letter(subject), "bob@other.example", login="alice@cust.example")


def violations(house: House) -> list[r.ViolationRecorded]:
    found = [x.entry for x in house.engine.run(lambda txn: txn.recent_entries(500))]
    records = [decode_record(x.kind, x.body) for x in reversed(found) if x.kind == "violation.recorded"]
    return [x for x in records if isinstance(x, r.ViolationRecorded)]


@pytest.mark.slow
async def test_a_mail_is_decided_by_the_version_of_its_time(house: House) -> None:
    old, new = (x.digest for x in versions(house.terms()))
    told = r.ChangeAnnounced(
        at=START,
        change_id="ch_1",
        what="terms",
        tenant_id=None,
        effective_at=begins_at(versions(house.terms())[1]),
        document="d",
        by="dana",
    )
    house.engine.run(lambda txn: txn.append(told, account_id=None, tenant_id=None))
    await spread(house, "one")
    await house.notice_received()
    house.clock.advance(LATER.total_seconds())
    await spread(house, "two")
    said = [(x.policy_digest, x.policy_digest_act, x.policy_digest_decision) for x in violations(house)]
    assert said == [(old, old, old), (new, new, new)]
    facts = [event["decision"] for event in house.events("decided")]
    assert [(x["policy_digest_act"], x["policy_digest_decision"]) for x in facts] == [(old, old), (new, new)]


@pytest.mark.slow
async def test_a_mail_that_came_before_the_change_is_decided_after_it_by_the_milder_version(house: House) -> None:
    old, new = (x.digest for x in versions(house.terms()))
    await spread(house, "one")
    await house.notice_received()
    house.clock.advance(7200)
    account = await house.ledger.account_for("alice@cust.example", may_create=False)
    assert account is not None
    late = act(0)
    late = replace(
        late,
        at=house.clock.now(),
        policy_digest=old,
        principal=replace(late.principal, account_id=account.account_id, tenant_id=account.tenant_id),
    )
    house.clock.advance(86400)
    said = await house.ledger.decide(late)
    assert (said.policy_digest, said.policy_digest_act, said.policy_digest_decision) == (new, old, new)
    assert violations(house)[-1].policy_digest == new
    shown = await house.show("alice@cust.example")
    assert shown["standing"] == "warned"
