"""How an enterprise is printed: facts, the score and what it is made of, steps, locks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from filterd.cli.say import count, printable, table


def tenant_lines(shown: dict[str, Any]) -> Iterable[str]:
    """Say what `tenant show` knows."""
    declared = "declared" if shown["domains_declared"] else "as mail has shown them"
    facts = {
        "name": shown["name"],
        "id": shown["tenant_id"],
        "terms in force": shown["terms"],
        "agreement": shown["agreement"],
        "enforced by": shown.get("enforcing_party"),
        "reseller": shown["reseller"],
        "channel": shown["channel"],
        "term begins": f"{shown['term_begins']} (by {shown['begins_by']})",
        "domains": f"{' '.join(shown['domains']) or '-'} ({declared})",
        "accounts": shown["accounts"],
        "seats": shown["seats"],
        "plan": shown["plan"],
        "expires": shown["expires_on"],
        "external id": shown["external_id"],
        "language": shown["language"],
        "contact": shown["contact"],
    }
    if (record := shown["supplement"]) is not None:
        facts |= {
            "supplement": record["agreement"],
            "its document": record["document"],
            "signed by provider": record["signed_by_provider"],
            "signed by tenant": record["signed_by_tenant"],
            "from": record["effective_from"],
            "its categories": " ".join(record["categories"]) or "all",
            "in force": "yes" if record["is_in_force"] else f"no: {record['why_not']}",
        }
    for name, value in facts.items():
        yield f"{name + ':':20}{'-' if value is None else printable(value)}"
    if "steps" in shown:
        yield from tenancy_lines(shown)


def tenancy_lines(shown: dict[str, Any]) -> Iterable[str]:
    """Say how an enterprise stands."""
    score = shown["score"]
    if score is None:
        yield f"{'score:':20}none: its agreement gives no ground for one"
    else:
        width = f"{count(score['accounts'], 'account')} of {score['accounts_needed']} needed"
        yield f"{'score:':20}{score['points']:g} ({score['a_points']:g} automatic; {width})"
    if shown["features_off"]:
        yield f"{'limited to:':20}{' '.join(shown['features_off'])}"
    for title, rows, head in (
        ("charged", shown["charges"], ("incident_id", "account_id", "points", "provisional", "custody")),
        ("steps", shown["steps"], ("step_id", "step", "quota", "since", "until", "score", "by", "technical")),
        ("coming", shown["coming"], ("step_id", "decided_at", "begins_at", "held_up_by", "channels")),
        ("proposals", shown["proposals"], ("step_id", "proposes", "since", "score", "task_id")),
        ("locks", shown["locks"], ("lock_id", "since", "until", "by", "confirmed_by")),
    ):
        if rows:
            yield f"{title}:"
            yield from (f"  {line}" for line in table(head, ([row[name] for name in head] for row in rows)))


def acted_lines(said: dict[str, Any]) -> Iterable[str]:
    """Say how an enterprise stands after an act."""
    yield f"{printable(said['name'])} ({said['tenant_id']})"
    yield from tenancy_lines(said)
