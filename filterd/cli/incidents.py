"""`filterd incident`: what happened, one act an incident.  STANDING 5.3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

_FACTS = ("began_at", "messages", "recipients", "points", "categories", "grounds", "finding_codes", "noticed_at")

incidents = typer.Typer(help="Incidents: what happened, under which clause, and what followed.")


@incidents.command("list")
def incident_list(
    account: Annotated[str | None, typer.Argument(metavar="LOGIN|ID", help="One account's; none given: all.")] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List incidents, the newest first."""
    rows = ask(load_config(config, state_dir), "incident.list", account=account, token=find_token(token))
    head = ("began_at", "login", "families", "messages", "recipients", "points", "annulled", "incident_id")
    result(rows, as_json=as_json, text=lambda: table(head, ([_cell(row[name]) for name in head] for row in rows)))


@incidents.command("show")
def incident_show(
    incident: Annotated[str, typer.Argument(metavar="ID", help="An incident, case or sanction id.")],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show an incident with its grounds, sanctions, notices and tasks; of the mail itself nothing."""
    shown = ask(load_config(config, state_dir), "incident.show", incident=incident, token=find_token(token))
    result(shown, as_json=as_json, text=lambda: _lines(shown))


def _lines(shown: dict[str, Any]) -> Iterable[str]:
    yield f"{shown['incident_id']}  {printable(shown['login'])}"
    for name in _FACTS:
        yield f"{name:14}{_cell(shown[name])}"
    marks = [name for name in ("first", "after_notice", "probation", "annulled") if shown[name]]
    if marks:
        yield f"{'it is':14}{', '.join(marks)}"
    for key, head in (
        ("sanctions", ("sanction_id", "rung", "clauses", "starts_at", "ends_at", "automatic", "annulled_at")),
        ("notices", ("notice_id", "template", "outcome", "deemed_at")),
        ("tasks", ("task_id", "what", "due_at")),
    ):
        if shown[key]:
            yield ""
            yield f"{key}:"
            rows = ([_cell(row[name]) for name in head] for row in shown[key])
            yield from (f"  {line}" for line in table(head, rows))


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else value
