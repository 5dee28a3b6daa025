"""Who may do what: the table of roles against every verb, scopes, recusal, mandates, and acts without a name.

STANDING 5.5; CLAUSES 0.15, TX-3.2.2; property prop_views_leak_nothing for tenants' people.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from filterd import app, metrics
from filterd.app.parts import desk_rules, verbs
from filterd.config import Config
from filterd.errors import FilterdError, RefusedError, UsageError
from filterd.log import EventStream, Log
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.pipeline.people import RESELLER, ROLES, ROOT, TENANT_ADMIN
from filterd.pipeline.roles import MATRIX
from tests.kit.house import KEYS
from tests.pipeline.people import ALICE, ANN, CONFIG, Office, open_office

pytestmark = pytest.mark.slow

# Verbs whose own module says who may; the table repeats it so that all of it can be read in one place.
_CALLS: dict[str, dict[str, Any]] = {
    "sanction.impose": {"account": ALICE, "rung": "warn", "clause": "4.3.1", "reason": "r"},
    "sanction.confirm": {"sanction": "SANCTION", "reason": "r"},
    "sanction.lift": {"sanction": "SANCTION", "reason": "r"},
    "sanction.annul": {"sanction": "SANCTION", "reason": "r"},
    "review.claim": {"task": "TASK"},
    "review.decide": {"task": "TASK", "decision": "confirm", "reason": "r"},
    "review.close": {"task": "TASK", "reason": "r"},
    "proposal.make": {"act": "account.terminate", "subject": ALICE, "reason": "r"},
    "cure.file": {"sanction": "SANCTION", "stopped": "a", "measures": "b", "waiver": "c"},
    "mandate.give": {"dealer": "Jiang Ltd", "document": "C-1"},
    "person.add": {"name": "new", "role": "viewer"},
    "tenant.import": {"rows": []},
    "account.import": {"rows": []},
    "bypass.on": {"minutes": 5, "reason": "r"},
    "evidence.show": {"target": "SANCTION", "reason": "r"},
    "evidence.hold": {"case": ALICE, "reason": "r"},
}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        await opened.reselling("dana")
        await opened.hire("jiang", role="reseller", dealer="Jiang Ltd")
        await opened.hire("anna", role="tenant_admin", tenant="acme.example")
        yield opened


async def allowed(office: Office, verb: str, name: str, given: dict[str, Any]) -> bool:
    """Say whether the role was let in; what then came of it is another test's."""
    try:
        await office.act(name, verb, **given)
    except FilterdError as err:
        return "has role" not in str(err)
    return True


@pytest.mark.parametrize("verb", sorted(_CALLS))
async def test_the_table_is_what_every_verb_does(office: Office, verb: str) -> None:
    await office.spread()
    await office.suspend("fritz", case=(await office.show(ALICE))["incidents"][0]["incident_id"])
    shown = await office.show(ALICE)
    places = {
        "SANCTION": shown["sanctions"][0]["sanction_id"],
        "TASK": (await office.ledger.call("task.list", {}) or [{"task_id": "w_none"}])[0]["task_id"],
    }
    given = {key: places.get(value, value) if isinstance(value, str) else value for key, value in _CALLS[verb].items()}
    said = {}
    for role in ROLES:
        scope = {"tenant": "cust.example"} if role in (TENANT_ADMIN, RESELLER) else {}
        await office.hire(f"a {role}", role=role, **scope)
        said[role] = await allowed(office, verb, f"a {role}", given)
    assert said == {role: MATRIX[verb][role] != "." for role in ROLES}


def test_every_verb_that_changes_something_is_in_the_table_or_checks_by_itself() -> None:
    config = Config.model_validate(CONFIG)
    offered = set(verbs(desk_rules(config, app.load_agreements(config))))
    unknown = set(_CALLS) - offered
    assert unknown == set()
    listed = {name for name in MATRIX if name != "look"}
    ours = {name for name in offered if name.partition(".")[0] in ("sanction", "review", "proposal", "cure", "mandate")}
    looks = {name for name in ours if name.endswith((".list", ".show"))}
    assert ours - looks - {"review.approve"} <= listed
    assert all(set(row) == {*ROLES, ROOT} for row in MATRIX.values())


# --- scopes -----------------------------------------------------------------------------------------------------------


async def test_a_tenants_people_see_their_own_and_no_other(office: Office) -> None:
    await office.spread()
    await office.suspend("dana")
    for name in ("anna", "jiang"):
        assert [row["login"] for row in await office.act(name, "account.list")] == [ANN]
        assert await office.act(name, "incident.list") == []
        assert await office.act(name, "review.list") == []
        for verb in ("account.show", "account.history"):
            with pytest.raises(UsageError, match=f"no account {ALICE}"):
                await office.act(name, verb, account=ALICE)
            assert await office.act(name, verb, account=ANN)
    incident = (await office.show(ALICE))["incidents"][0]["incident_id"]
    with pytest.raises(UsageError, match="no incident"):
        await office.act("anna", "incident.show", incident=incident)
    assert len(await office.act("dana", "account.list")) == 2


async def test_prop_views_leak_nothing_of_colleagues_or_the_mail(office: Office) -> None:
    await office.act("jiang", "sanction.impose", account=ANN, rung="warn", clause="7.1", reason="told by a colleague")
    rows = await office.act("anna", "account.history", account=ANN)
    assert rows
    keys = {key for row in rows for key in row}
    assert not keys & {"by", "reason", "delivery_keys", "text_fp", "evidence_key", "evidence_digest"}
    assert "told by a colleague" not in str(rows)
    for verb in ("evidence.show", "evidence.read"):
        with pytest.raises(RefusedError, match="has role"):
            await office.act("anna", verb, target="x", reason="curious")


async def test_the_reseller_enforces_its_own_agreement_and_only_that(office: Office) -> None:
    said = await office.act("jiang", "sanction.impose", account=ANN, rung="warn", clause="7.1", reason="r")
    assert said["standing"] == "warned"
    await office.mailbox(ALICE)
    with pytest.raises(RefusedError, match="only act for the tenants of dealer:"):
        await office.act("jiang", "sanction.impose", account=ALICE, rung="warn", clause="4.3.1", reason="r")
    row = {"line": 2, "name": "cust.example", "reseller": "Jiang Ltd"}
    assert (await office.act("dana", "tenant.import", rows=[row]))["errors"] == []
    with pytest.raises(RefusedError, match="not enforced by a reseller"):
        await office.act("jiang", "sanction.impose", account=ALICE, rung="warn", clause="4.3.1", reason="r")


async def test_the_platforms_people_need_a_mandate_for_a_resellers_tenants(office: Office) -> None:
    warn = {"account": ANN, "rung": "warn", "clause": "7.1", "reason": "r"}
    with pytest.raises(RefusedError, match="its reseller's to decide about"):
        await office.act("dana", "sanction.impose", **warn)
    await office.hire("otto", role="reseller", dealer="Another Ltd")
    with pytest.raises(RefusedError, match="for another reseller"):
        await office.act("otto", "mandate.give", dealer="Jiang Ltd", document="C-9")
    until = "2026-03-05T00:00:00+08:00"
    given = await office.act("jiang", "mandate.give", dealer="Jiang  Ltd", document="C-9", until=until)
    said = await office.act("dana", "sanction.impose", **warn)
    assert said["standing"] == "warned"
    # What undoes or eases is nobody's privilege.
    await office.act("dana", "sanction.lift", sanction=said["sanction_id"], reason="enough")
    await office.act("jiang", "mandate.end", mandate=given["mandate_id"], reason="over")
    with pytest.raises(RefusedError, match="its reseller's to decide about"):
        await office.act("dana", "sanction.impose", **warn)
    await office.act("jiang", "mandate.give", dealer="Jiang Ltd", document="C-9", until=until)
    office.clock.advance(days=3)
    with pytest.raises(RefusedError, match="its reseller's to decide about"):
        await office.act("dana", "sanction.impose", **warn)
    assert "Jiang" not in str(office.site(r.MandateGiven))


async def test_nobody_decides_about_where_they_belong_or_their_own_mailbox(office: Office) -> None:
    await office.mailbox(ALICE)
    await office.hire("carl", tenant="cust.example")
    await office.hire("cora", account=ALICE)
    warn = {"account": ALICE, "rung": "warn", "clause": "4.3.1", "reason": "r"}
    with pytest.raises(RefusedError, match="is recused"):
        await office.act("carl", "sanction.impose", **warn)
    with pytest.raises(RefusedError, match="own mailbox"):
        await office.act("cora", "sanction.impose", **warn)
    sanction = (await office.act("dana", "sanction.impose", **warn))["sanction_id"]
    for name in ("carl", "cora"):
        with pytest.raises(RefusedError):
            await office.act(name, "sanction.lift", sanction=sanction, reason="r")
    await office.mailbox("bob@cust.example")
    await office.act("cora", "sanction.impose", **{**warn, "account": "bob@cust.example"})


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"role": "tenant_admin"}, "needs to know whose"),
        ({"role": "reseller"}, "--tenant or --dealer"),
        ({"role": "moderator", "dealer": "Jiang Ltd"}, "--dealer is for role reseller"),
        ({"role": "king"}, "role is one of"),
    ],
)
async def test_a_persons_scope_fits_the_role(office: Office, wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        await office.hire("x", **wanted)


async def test_a_new_role_takes_the_old_scope_away(office: Office) -> None:
    await office.hire("anna", role="viewer")
    assert len(await office.act("anna", "account.list")) == 1
    await office.mailbox(ALICE)
    assert len(await office.act("anna", "account.list")) == 2


# --- without a name ---------------------------------------------------------------------------------------------------


async def test_without_a_name_it_is_refused_and_as_root_it_is_on_record_and_alarmed(office: Office) -> None:
    await office.mailbox(ALICE)
    warn = {"account": ALICE, "rung": "warn", "clause": "4.3.1", "reason": "at night"}
    with pytest.raises(RefusedError, match="named person"):
        await office.ledger.call("sanction.impose", warn)
    before = len(office.site(r.RootActed))
    said = await office.ledger.call("sanction.impose", {**warn, "as_root": True})
    assert said["standing"] == "warned"
    *_, acted = office.site(r.RootActed)
    assert len(office.site(r.RootActed)) == before + 1
    assert (acted.verb, acted.reason) == ("sanction.impose", "at night")
    imposed = next(x for x in office.records(said["account_id"]) if isinstance(x, r.SanctionImposed))
    assert imposed.by == "root"


async def test_what_is_refused_leaves_no_row_of_root(office: Office) -> None:
    before = len(office.site(r.RootActed))
    with pytest.raises(FilterdError):
        await office.ledger.call("sanction.impose", {"account": ANN, "rung": "ban", "clause": "x", "as_root": True})
    assert len(office.site(r.RootActed)) == before


async def test_a_token_says_who_it_was_even_beside_as_root(office: Office) -> None:
    before = len(office.site(r.RootActed))
    await office.mailbox(ALICE)
    warn = {"account": ALICE, "rung": "warn", "clause": "4.3.1", "reason": "r", "as_root": True}
    await office.act("dana", "sanction.impose", **warn)
    assert len(office.site(r.RootActed)) == before


async def test_such_a_row_is_counted_and_is_an_error_line_that_says_what_to_do(office: Office, tmp_path: Path) -> None:
    def counted() -> float:
        return metrics.REGISTRY.get_sample_value("filterd_root_acts_total") or 0.0

    found = office.engine.run(lambda txn: txn.recent_entries(50))
    entry = next(x.entry for x in found if isinstance(x.record, r.RootActed))
    assert entry.subject_id == SITE
    before = counted()
    metrics.observe_record(next(iter(office.site(r.RootActed))))
    assert counted() == before + 1
    log = Log(EventStream(tmp_path / "other", "t.x", office.clock.now), pseudonym_key=KEYS.pseudonym)
    with capture_logs() as lines:
        log.entry(entry)
    log.stream.close()
    (line,) = [x for x in lines if x["log_level"] == "error"]
    assert (line["event"], line["verb"]) == ("root_acted", "person.add")
    assert "person add" in line["do"]
