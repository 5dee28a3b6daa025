"""`filterd review`: what waits for a person, the most urgent first.  STANDING 5.3, 5.5."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from filterd.cli.acting import standing_line, who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.proposals import Digest, approve_proposal
from filterd.cli.review import Features, Ground, Hours, Notice, Provision, RestsOn
from filterd.cli.say import printable, result, table

reviews = typer.Typer(help="The queue: what waits for a person, and taking it in hand.")

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, as `review list` says it.")]
_PRIORITY = ("urgent", "late", "")


@reviews.command("list")
def review_list(
    mine: Annotated[bool, typer.Option("--mine", help="Only what you have in hand.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List tasks, proposals, cures and objections that wait for a person, the most urgent first."""
    rows = ask(load_config(config, state_dir), "review.list", mine=mine, token=find_token(token))
    head = ("", "due", "kind", "login", "what", "in hand", "id")
    result(rows, as_json=as_json, text=lambda: table(head, (_row(row) for row in rows)))


@reviews.command("claim")
def review_claim(
    task: TaskId,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Take a task in hand; nobody else can for a while."""
    said = ask(load_config(config, state_dir), "review.claim", task=task, **who(token, as_root=as_root))
    line = f"{task} is {printable(said['claimed_by'])}'s until {said['claimed_until']}"
    result(said, as_json=as_json, text=lambda: [line])


@reviews.command("hand-back")
def review_hand_back(
    task: TaskId,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Give a task back to everybody."""
    said = ask(load_config(config, state_dir), "review.hand_back", task=task, **who(token, as_root=as_root))
    result(said, as_json=as_json, text=lambda: [f"{task} is anybody's again"])


@reviews.command("decide")
def review_decide(
    task: TaskId,
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="confirm, lift, annul, or step_up.")],
    reason: Reason,
    rung: Annotated[str | None, typer.Option("--rung", help="Of a step up: warn, restrict, or suspend.")] = None,
    feature: Features = None,
    hours: Hours = None,
    clause: Annotated[str | None, typer.Option("--clause", help="Of a step up: under which clause.")] = None,
    notice: Notice = None,
    provision: Provision = None,
    ground: Ground = None,
    rests_on: RestsOn = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Decide about a task: what was imposed is right, or ends, or was our error, or is not enough."""
    said = ask(
        load_config(config, state_dir),
        "review.decide",
        task=task,
        decision=decision,
        reason=reason,
        rung=rung,
        features=feature,
        hours=hours,
        clause=clause,
        notice=notice,
        provision=provision,
        ground=ground,
        rests_on=rests_on,
        **who(token, as_root=as_root),
    )
    result(said, as_json=as_json, text=lambda: [standing_line(said)])


@reviews.command("approve")
def review_approve(
    proposal: Annotated[str, typer.Argument(metavar="PROPOSAL", help="The proposal's id.")],
    digest: Digest,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Approve what another person has proposed, and have it carried out."""
    approve_proposal("review.approve", proposal, digest, token, config, state_dir, as_json=as_json)


@reviews.command("close")
def review_close(
    task: TaskId,
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Close a task with a reason: somebody has looked, and nothing is to be done."""
    verb = "review.close"
    said = ask(load_config(config, state_dir), verb, task=task, reason=reason, **who(token, as_root=as_root))
    result(said, as_json=as_json, text=lambda: [f"{task} is closed by {printable(said['by'])}"])


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    mark = _PRIORITY[row["priority"]]
    return mark, row["due_at"], row["kind"], row["login"], row["what"], row["claimed_by"], row["id"]
