"""`filterd review`: what waits for a person, the most urgent first.  STANDING 5.3, 5.5."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.acting import standing_line, who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.proposals import Digest, approve_proposal
from filterd.cli.review import Features, Ground, Hours, Notice, Provision, RestsOn
from filterd.cli.say import count, printable, result, table

reviews = typer.Typer(help="The queue: what waits for a person, and taking it in hand.")

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="The task's id, as `review list` says it.")]
CaseId = Annotated[str, typer.Argument(metavar="CASE", help="The sealed case's id, as `review list` says it.")]
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


@reviews.command("read")
def review_read(
    case: CaseId,
    reason: Reason,
    mail: Annotated[
        Path | None,
        typer.Option("--mail", metavar="FILE", help="Write what is kept of the mail to a new file of mode 0600."),
    ] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Read a sealed case, what a list of a locked category found. The ledger says first who read it and why."""
    said = ask(load_config(config, state_dir), "locked.open", case=case, reason=reason, token=find_token(token))
    if mail is not None:
        write_new(mail, base64.b64decode(said["mail"]))

    def lines() -> Iterable[str]:
        yield f"{case}: mail {said['transaction_id']} of {printable(said['login'])} at {said['at']}"
        for x in said["lists"]:
            yield f"{x['category']}: list {x['list']}, {x['digest'][:12]}, entries {', '.join(x['entries'])}"
        if said["held"]:
            yield f"{count(said['held'], 'mail')} held for you, which go on by themselves by {said['held_until']}"
        yield f"when done: filterd review settle {case} nothing --reason WHY"

    result(said, as_json=as_json, text=lines)


@reviews.command("settle")
def review_settle(
    case: CaseId,
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help="nothing, which erases it, or acted.")],
    reason: Reason,
    decision: Annotated[
        str | None, typer.Option("--decision", metavar="ID", help="Of acted: the sanction or incident it led to.")
    ] = None,
    mail: Annotated[
        str, typer.Option("--mail", help="What is held for it: release; or, of acted alone, return or delete.")
    ] = "release",
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Be done with a sealed case you have read. It does nothing to the account: that is an act of its own."""
    said = ask(
        load_config(config, state_dir),
        "locked.close",
        case=case,
        outcome=outcome,
        decision=decision,
        mail=mail,
        reason=reason,
        token=find_token(token),
    )
    held = {"release": ", its mail goes on", "return": ", its mail goes back", "delete": ", its mail is deleted"}
    line = f"{case} is closed by {printable(said['by'])}: {said['outcome']}{held.get(said['mail'], '')}"
    result(said, as_json=as_json, text=lambda: [line])


def write_new(file: Path, octets: bytes) -> None:
    """Write a file that is not there yet, for its owner alone. Raises OSError."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(octets)


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    mark = _PRIORITY[row["priority"]]
    return mark, row["due_at"], row["kind"], row["login"], row["what"], row["claimed_by"], row["id"]
