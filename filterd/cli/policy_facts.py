"""What an agreement comes to, for people and programs: `filterd policy check` and `show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filterd.agreement.terms import Agreement
    from filterd.cli.adopting import Approvals


def facts(terms: Agreement, approved: Approvals | None = None) -> dict[str, Any]:
    """Say what a version of an agreement comes to.

    Args:
        approved: what two people stand behind; None: nobody could be asked.
    """
    from dataclasses import asdict

    from filterd.agreement.crosswalk import crosswalk, rung_reach, severity_text, staff_reach
    from filterd.agreement.load import unmapped
    from filterd.checks import ALL_CODES

    return {
        "id": terms.id,
        "version": terms.version,
        "effective_from": terms.effective_from,
        "digest": terms.digest,
        "enforcing_party": terms.enforcing_party,
        "languages": list(terms.languages),
        "categories": [
            {
                "id": c.id,
                "name": c.en,
                "mode": c.mode.value,
                "single": c.single,
                "raised": c.raised,
                "severity": severity_text(c),
                "is_urgent": c.is_urgent,
                "people_only": c.people_only,
                "disposition": c.disposition.value,
                "clauses": [terms.clause[key].number for key in c.ground],
                "findings": [rule.finding for rule in terms.rule if rule.category == c.id],
                "zero_tolerance": c.zero_tolerance,
                "arf": c.arf,
                "xarf": c.xarf,
                "dsa": list(c.dsa),
            }
            for c in terms.category
        ],
        "crosswalk": [asdict(row) for row in crosswalk(terms)],
        "rung_reach": [
            {
                "category": reach.category,
                "preset": reach.preset.value if reach.preset is not None else None,
                "staff": reach.staff.value,
                "reaches": reach.text,
                "terminates_by_order": reach.by_order,
            }
            for reach in (*rung_reach(terms), *staff_reach(terms))
        ],
        "ladder": [
            {
                "at": step.at,
                "rung": step.rung,
                "hours": step.hours,
                "proposes_termination": step.propose_termination,
            }
            for step in terms.ladder
        ],
        "advisory": list(terms.advisory),
        # Loading ran them all; one that does not come out refuses the file.
        "examples_passed": [example.name for example in terms.example],
        "unmapped": list(unmapped(terms, ALL_CODES)),
        "warnings": list(_warnings(terms, approved)),
    }


def whole(terms: Agreement, approved: Approvals | None = None) -> dict[str, Any]:
    """Say all that an agreement says, in every version there is."""
    from filterd.agreement.versions import begins_at, versions

    return {
        **facts(terms, approved),
        "title": dict(terms.title),
        "timezone": terms.timezone,
        "supplements": terms.supplements,
        "sanction_ground": list(terms.sanction_ground),
        "versions": [
            {
                "version": item.version,
                "effective_from": begins_at(item),
                "digest": item.digest,
                "is_in_force": item.digest == terms.digest,
            }
            for item in versions(terms)
        ],
        "clauses": [{"id": key, **clause.model_dump(mode="json")} for key, clause in terms.clause.items()],
        "presets": {name.value: rules.model_dump(mode="json") for name, rules in terms.preset.items()},
        "points": terms.points.model_dump(mode="json"),
        "incident": terms.incident.model_dump(mode="json"),
    }


def _warnings(terms: Agreement, approved: Approvals | None) -> Iterator[str]:
    """Say what loads, and is probably not meant so."""
    import datetime
    import zoneinfo

    from filterd.agreement.clocks import LOCKED_HIT_DAYS
    from filterd.cli.adopting import raised_faults

    try:
        zoneinfo.ZoneInfo(terms.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        yield f"timezone: this machine does not know {terms.timezone!r} (package tzdata)"
    if terms.effective_from.tzinfo is None:
        yield "effective_from: has no zone"
    elif terms.effective_from > datetime.datetime.now(datetime.UTC):
        yield f"effective_from: {terms.effective_from.isoformat()} is still to come; alone, it is enforced all the same"
    days = terms.lifecycle.locked_hit_days if terms.lifecycle is not None else 0
    if days > LOCKED_HIT_DAYS:
        yield f"lifecycle.locked_hit_days: {days} counts as {LOCKED_HIT_DAYS} (CLAUSES §1)"
    ruled = {rule.category for rule in terms.rule}
    for category in terms.category:
        if category.id not in ruled and not category.people_only:
            yield f"category {category.id}: no rule leads to it"
    yield from (f"{what}: {do}" for what, do in raised_faults(terms, approved))
    cited = {key for category in terms.category for key in category.ground} | set(terms.sanction_ground)
    for key, clause in terms.clause.items():
        if key not in cited and clause.in_mail:
            yield f"clause {key}: nothing stands on it"
    for finding in sorted({rule.finding for rule in terms.rule} & set(terms.advisory)):
        yield f"advisory: {finding} is listed as advisory and mapped by a rule"
