"""`filterd sanction`, `hold`, `task`: what people do to standing.  STANDING 5.4-5.6."""

from __future__ import annotations

from typing import Annotated

import typer

from filterd.cli.acting import act, who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

sanctions = typer.Typer(help="Sanctions: impose, confirm, lift or annul one, as a named person.")
holds = typer.Typer(help="Protective holds: release one, as a named person.")
tasks = typer.Typer(help="What waits for a person.")

Rung = Annotated[str, typer.Option("--rung", help="warn, restrict, or suspend.")]
Features = Annotated[
    list[str] | None,
    typer.Option(
        "--feature",
        help="What a restriction switches off: links, messages_per_day:50, recipient:someone@example.com. "
        "May be repeated.",
    ),
]
Hours = Annotated[
    int | None, typer.Option("--hours", min=1, help="For how long; left out, a suspension lasts until it is lifted.")
]
Notice = Annotated[
    str | None,
    typer.Option(
        "--notice", metavar="ID", help="The written notice it rests on, where the agreement asks for one (AL-7.1)."
    ),
]
Provision = Annotated[
    str | None, typer.Option("--provision", help="The law and its article, for a clause that means any other law.")
]
Ground = Annotated[
    str | None, typer.Option("--ground", help="What was wrong, in words, for a clause that says no more than that.")
]
RestsOn = Annotated[
    str | None,
    typer.Option("--rests-on", metavar="ID", help="The rights holder's notice, or the verification, it rests on."),
]
SanctionId = Annotated[str, typer.Argument(metavar="ID", help="A sanction, incident or case id.")]


@sanctions.command("impose")
def impose(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="A login or account id.")],
    clause: Annotated[str, typer.Option("--clause", help="Under which clause of the account's agreement.")],
    reason: Reason,
    rung: Rung = "restrict",
    feature: Features = None,
    hours: Hours = None,
    case: Annotated[
        str | None, typer.Option("--case", metavar="ID", help="The incident or case it answers, if there is one.")
    ] = None,
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
    """Warn an account, switch features of it off for a time, or suspend its sending. Its user is told.

    Ending an account's service takes two people: filterd proposal make account.terminate.
    """
    act(
        "sanction.impose",
        config,
        state_dir,
        as_json,
        account=account,
        rung=rung,
        features=feature,
        hours=hours,
        clause=clause,
        case=case,
        notice=notice,
        provision=provision,
        ground=ground,
        rests_on=rests_on,
        reason=reason,
        **who(token, as_root=as_root),
    )


@sanctions.command("confirm")
def confirm(
    sanction: SanctionId,
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Confirm a sanction: a person has looked, and it is right."""
    act(
        "sanction.confirm", config, state_dir, as_json, sanction=sanction, reason=reason, **who(token, as_root=as_root)
    )


@sanctions.command("lift")
def lift(
    sanction: SanctionId,
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """End a sanction now. The strike stays; to undo an error, annul."""
    act(
        "sanction.lift", config, state_dir, as_json, sanction=sanction, reason=reason, **who(token, as_root=as_root)
    )


@sanctions.command("annul")
def annul(
    sanction: SanctionId,
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Undo our error: the strike never counted, later sanctions are replayed without it, the user is told."""
    act(
        "sanction.annul", config, state_dir, as_json, sanction=sanction, reason=reason, **who(token, as_root=as_root)
    )


@holds.command("release")
def release(
    hold: Annotated[str, typer.Argument(metavar="ID", help="The hold's id, as `account show` says it.")],
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Unlock an account: somebody has made sure that it is in its owner's hands."""
    act("hold.release", config, state_dir, as_json, hold=hold, reason=reason, **who(token, as_root=as_root))


@tasks.command("list")
def task_list(
    token: Token = None, config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False
) -> None:
    """List what is warranted and waits for a person."""
    rows = ask(load_config(config, state_dir), "task.list", token=find_token(token))
    head = ("due", "login", "what", "warranted", "imposed", "overdue", "incident")
    result(
        rows,
        as_json=as_json,
        text=lambda: table(
            head,
            (
                (
                    r["due_at"],
                    r["login"],
                    r["what"],
                    r["warranted"],
                    r["imposed"],
                    "OVERDUE" if r["overdue"] else "",
                    r["incident_id"],
                )
                for r in rows
            ),
        ),
    )


@tasks.command("open")
def task_open(
    tenant: Annotated[str, typer.Argument(metavar="NAME|ID|DOMAIN", help="Whose request it is.")],
    kind: Annotated[str, typer.Option("--kind", help="question, or mail_trouble.")],
    account: Annotated[str | None, typer.Option("--account", metavar="LOGIN|ID", help="One of its mailboxes.")] = None,
    held: Annotated[str | None, typer.Option("--held", metavar="ID", help="The held mail it is about.")] = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Take a customer's question or trouble in, with the hours its agreement promises. Closing the task answers it."""
    said = ask(
        load_config(config, state_dir),
        "request.open",
        tenant=tenant,
        kind=kind,
        account=account,
        held=held,
        **who(token, as_root=as_root),
    )
    line = f"{said['task_id']}: to be answered by {said['due_at']}; the desk is told at {said['alert_at']}"
    result(said, as_json=as_json, text=lambda: [line])


@tasks.command("close")
def task_close(
    task: Annotated[str, typer.Argument(metavar="ID", help="The task's id.")],
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Close a task: somebody has looked, and nothing is to be done."""
    verb = "review.close"
    said = ask(load_config(config, state_dir), verb, task=task, reason=reason, **who(token, as_root=as_root))
    result(said, as_json=as_json, text=lambda: [f"{task} is closed by {printable(said['by'])}"])
