"""Rules of one line each: a register's entry, what protects, from how many points a termination, how a fold adds."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from filterd.agreement.clauses import ClauseEntry, Register
from filterd.agreement.cure import cures, missing
from filterd.agreement.fold import MAX_LINKS, apply, fold
from filterd.agreement.protection import is_harmful, shipped_effect
from filterd.agreement.termination import begun, outlook, threshold
from filterd.model import records as r
from filterd.model.decision import NO_TEXT, Disposition
from filterd.model.sanction import Ground, Mode, Rung, Violation
from filterd.model.standing import History
from tests.agreement.contract import shipped
from tests.agreement.mutants import shipped as agreement
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, hold, imposed, incident, notice, opened, sanction

TERMS = shipped()

# --- a register of clauses (CLAUSES §8) -------------------------------------------------------------------------------

ENTRY: dict[str, Any] = {
    "id": "3.3.2",
    "paraphrase_en": "no viruses are spread",
    "paraphrase_zh": "不得传播病毒",
    "duties": ("DET",),
    "mode": ("A",),
    "tests": ("tests/agreement/test_walks.py::test_walk_1_supervised",),
}
SILENT: dict[str, Any] = {"mode": ("N",), "duties": (), "tests": ()}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        (SILENT, None),
        (SILENT | {"mode": ("N", "A")}, "take the other modes away"),
        (SILENT | {"duties": ("DET",)}, "has no duties, no categories and nothing pending"),
        (SILENT | {"categories": ("malware",)}, "has no duties, no categories and nothing pending"),
        (SILENT | {"pending": "this is missing"}, "has no duties, no categories and nothing pending"),
        ({"tests": ()}, "name a test that fails without it"),
        ({"tests": (), "pending": "this is missing"}, None),
        ({"duties": ()}, "say what it asks of us"),
        ({"categories": ("malware",)}, None),
        ({"categories": ("malware",), "mode": ("D",)}, "categories stand on clauses of mode"),
        ({"categories": ("malware",), "mode": ("D", "C2")}, None),
        ({"duties": ("DET", "DET")}, "duties says something twice"),
        ({"mode": ("A", "A")}, "mode says something twice"),
        ({"categories": ("malware", "malware")}, "categories says something twice"),
        ({"tests": ENTRY["tests"] * 2}, "tests says something twice"),
        ({"id": "3.3.2 tail-a"}, None),
        ({"id": "3.3.2 (7)"}, None),
        ({"id": "S14"}, None),
        ({"id": "three"}, "should match pattern"),
    ],
)
def test_what_an_entry_of_the_register_says(changes: dict[str, Any], says: str | None) -> None:
    if says is None:
        assert ClauseEntry.model_validate(ENTRY | changes).is_actionable is (changes.get("mode") != ("N",))
        return
    with pytest.raises(ValidationError, match=says):
        ClauseEntry.model_validate(ENTRY | changes)


def test_a_register_finds_its_clauses_and_what_is_still_missing() -> None:
    second = ENTRY | {"id": "3.6", "tests": (), "pending": "this is missing"}
    register = Register.model_validate({"agreement": "house", "clause": (ENTRY, second)})
    found = register.find("3.6")
    assert found is not None
    assert (found.pending, register.find("9.9"), register.pending) == ("this is missing", None, (found,))


# --- protection -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_held_gets_what_filterd_ships_for_it_and_what_could_not_be_checked_waits() -> None:
    assert shipped_effect("check.clamd.temperror") is Disposition.DEFER
    assert shipped_effect("inbound.virus") is Disposition.REJECT
    assert shipped_effect("inbound.nothing_of_ours") is Disposition.REJECT
    assert {shipped_effect(f"inbound.{x}") for x in ("virus", "spam")} <= set(Disposition)


def test_what_harms_whoever_opens_it() -> None:
    said = {x: is_harmful(f"inbound.{x}") for x in ("virus", "attachments", "phishing", "spam")}
    assert said == {"virus": True, "attachments": True, "phishing": True, "spam": False}


# --- termination and cure ---------------------------------------------------------------------------------------------


def test_a_termination_is_warranted_from_the_step_that_proposes_it_else_from_the_last() -> None:
    assert threshold(TERMS) == 24
    assert threshold(agreement("aliyun-supplement")) == round(agreement("aliyun-supplement").ladder[-1].at * 2)
    steps = tuple(x.model_copy(update={"propose_termination": x.at >= 8}) for x in TERMS.ladder)
    assert threshold(TERMS.model_copy(update={"ladder": steps})) == 16


def points(_: History, __: object) -> int:
    return 24


def test_what_is_no_termination_is_as_it_is_and_one_that_has_not_begun_is_not_there() -> None:
    plain = sanction()
    assert begun(history(plain), plain, TERMS, T0, points) is plain
    end = sanction(Rung.TERMINATE, starts_at=T0 + 7 * DAY, ends_at=None, is_automatic=False)
    told = tuple(notice(T0, template="termination_proposed", channel=x, notice_id=f"m_{x}") for x in ("mail", "sms"))
    files = history(end, further=told)
    assert begun(files, end, TERMS, T0 + 7 * DAY - SECOND, points) is None
    found = begun(files, end, TERMS, T0 + 7 * DAY, points)
    assert found is not None
    assert (found.imposed.starts_at, found.lifted_at) == (T0 + 7 * DAY, None)
    assert begun(history(end), end, TERMS, T0 + 90 * DAY, points) is None


@pytest.mark.parametrize(
    ("without", "with_it", "is_held_up"),
    [(23, 24, True), (24, 24, False), (24, 30, False), (22, 23, True), (23, 23, False)],
)
def test_case_5_4_04_an_appeal_holds_it_up_whose_grant_would_bring_the_points_under_what_warrants_it(
    without: int, with_it: int, is_held_up: bool
) -> None:
    end = sanction(Rung.TERMINATE, starts_at=T0 + 7 * DAY, ends_at=None, is_automatic=False, sanction_id="s_end")
    other = sanction(incident_id="i_2", objected_at=T0 + HOUR, appeal_id="p_2")
    told = tuple(notice(T0, template="termination_proposed", channel=x, notice_id=f"m_{x}") for x in ("mail", "sms"))
    files = history(incident("i_1"), incident("i_2"), end, other, further=told)

    def weigh(seen: History, _: object) -> int:
        return without if any(i.is_annulled for i in seen.incidents) else with_it

    found = outlook(files, end, TERMS, T0 + DAY, weigh)
    assert found.held_up_by == (("appeal_on_points",) if is_held_up else ())
    assert (found.begins_at is None) is is_held_up


def test_t_al_7_1_a_cure_has_three_parts_and_the_first_answer_counts() -> None:
    filed = r.CureFiled(
        at=T0,
        cure_id="u_1",
        sanction_id="s_1",
        has_stopped=False,
        has_measures=False,
        has_compensation=False,
        has_waiver=False,
        by="Chief",
        due_at=T0 + 3 * DAY,
    )
    assert missing(filed) == ("stopped", "measures", "compensation")
    rows = [
        r.CureAnswered(at=T0 + n * HOUR, cure_id="u_1", sanction_id="s_1", outcome=x, by="ann", reason="x")
        for n, x in enumerate(("refused", "accepted"))
    ]
    (file,) = cures(history(further=(filed, *rows)))
    assert file.state(T0) == "refused"
    (file,) = cures(history(further=(filed,)))
    assert [file.state(T0 + 3 * DAY - SECOND), file.state(T0 + 3 * DAY)] == ["open", "unanswered"]


# --- the fold ---------------------------------------------------------------------------------------------------------


def act(
    mode: Mode = Mode.A,
    *,
    keys: int = 1,
    category: str = "malware",
    is_strong: bool = True,
    burst: bool = False,
    shadow: bool = False,
    number: int = 1,
    text_fp: str = "x_1",
    **more: Any,
) -> r.ViolationRecorded:
    violation = Violation(
        category=category,
        family=category.split(".")[0],
        mode=mode,
        severity=3,
        ground=Ground(kind="clause", ids=("3.3.2",)),
        finding_codes=(),
        is_burst=burst,
        is_shadow=shadow,
    )
    said: dict[str, Any] = {
        "at": T0,
        "incident_id": "i_1",
        "decision_id": "d_1",
        "transaction_id": "t_1",
        "evidence_key": f"e_{number}",
        "text_fp": text_fp,
        "violations": (violation,),
        "delivery_keys": tuple(f"k_{number}.{n}" for n in range(keys)),
        "policy_digest": "",
        "is_strong": is_strong,
    }
    return r.ViolationRecorded(**(said | more))


def test_recipients_count_a_category_apart_for_mode_a() -> None:
    def counted(*rows: r.Record) -> tuple[tuple[str, int, int], ...]:
        return fold("a_1", [opened(), *rows]).incidents[0].recipients

    assert counted(act(keys=3), act(keys=2, number=2)) == (("malware", 5, 5),)
    assert counted(act(keys=3), act(Mode.B, keys=2, number=2)) == (("malware", 5, 3),)
    assert counted(act(keys=3, is_strong=False)) == (("malware", 3, 0),)
    assert counted(act(keys=3, shadow=True), act(keys=1, category="spam.outbound")) == (("spam.outbound", 1, 1),)
    assert counted(act(Mode.C2, keys=3), act(keys=1)) == (("malware", 1, 1),)


def test_a_burst_counts_in_mode_a_of_somebody_known_and_not_behind_a_breaker() -> None:
    def has_burst(*rows: r.Record) -> bool:
        return fold("a_1", [opened(), *rows]).incidents[0].has_burst

    assert has_burst(act(burst=True), act(number=2))
    assert not has_burst(act())
    assert not has_burst(act(Mode.B, burst=True))
    assert not has_burst(act(burst=True, is_strong=False))
    assert not has_burst(act(burst=True, shadow=True))


def test_an_act_adds_its_marks_families_and_what_was_seen() -> None:
    rows: list[r.Record] = [
        opened(),
        act(Mode.B, category="adult.obscene", indicators=("client.new",)),
        act(number=2, text_fp=NO_TEXT, hypothesis="malicious"),
        act(Mode.B, number=3, category="fraud.scam", shadow=True, hypothesis="compromised"),
    ]
    (file,) = fold("a_1", rows).incidents
    assert file.families == {"spam", "adult", "malware", "fraud"}
    assert file.b_families == {"adult"}
    assert file.links == {"e_1", "x_1", "e_2", "e_3"}
    assert (file.message_count, file.delivery_count) == (3, 3)
    assert file.indicators == {"client.new"}
    assert file.hypothesis == "malicious"
    many: list[r.Record] = [opened(), *(act(number=n, text_fp=f"x_{n}") for n in range(MAX_LINKS))]
    assert MAX_LINKS <= len(fold("a_1", many).incidents[0].links) <= MAX_LINKS + 1


def test_only_a_warning_that_was_received_closes_an_incident() -> None:
    def noticed(*rows: r.Record) -> tuple[object, ...]:
        return fold("a_1", [opened(), *rows]).incidents[0].notices

    assert noticed(notice(T0, "i_1")) == (T0,)
    assert noticed(notice(T0, "i_1", template="hold+suspension", deemed_at=T0 + HOUR)) == (T0 + HOUR,)
    assert noticed(notice(T0, "i_1", template="hold")) == ()
    assert noticed(notice(T0, "i_1", deemed_at=None)) == ()
    assert noticed(notice(T0, "i_2")) == ()
    assert noticed(notice(T0, "i_1"), notice(T0 + HOUR, "i_1")) == (T0, T0 + HOUR)


def test_the_first_word_about_a_sanction_stands_and_each_names_its_own() -> None:
    rows: list[r.Record] = [opened(), opened("i_2"), imposed(), imposed(incident_id="i_2"), hold("h_1"), hold("h_2")]
    files = fold("a_1", rows)
    lifted = [
        r.SanctionLifted(at=T0 + n * HOUR, sanction_id="s_i_1", incident_id="i_1", by="ann", reason="x") for n in (1, 2)
    ]
    for row in lifted:
        files = apply(files, row)
    assert [s.lifted_at for s in files.sanctions] == [T0 + HOUR, None]
    released = r.HoldReleased(at=T0 + HOUR, hold_id="h_1", by="ann", reason="x")
    files = apply(apply(files, released), r.HoldReleased(at=T0 + DAY, hold_id="h_1", by="ann", reason="x"))
    assert [end for _, end in files.holds] == [T0 + HOUR, None]
    assert [i.has_hold for i in files.incidents] == [True, False]
    task = r.TaskOpened(
        at=T0, task_id="w_1", incident_id="i_2", account_id="a_1", what="x", warranted="x", imposed="x", due_at=T0
    )
    assert [i.tasks for i in apply(files, task).incidents] == [frozenset(), {"w_1"}]
