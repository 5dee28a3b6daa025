"""`filterd appeal`: objections filed for somebody, reviewed and decided.  STANDING 5.6."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from filterd.cli.acting import standing_line, who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import count, printable, result, table

appeals = typer.Typer(help="Appeals: file one for somebody, look at them, decide them.")

AppealId = Annotated[str, typer.Argument(metavar="ID", help="The appeal's id.")]
Words = Annotated[str | None, typer.Option("--text", help="In their own words; kept sealed. At most 2000 characters.")]
Outcome = Annotated[
    str, typer.Option("--outcome", help="granted, partially_granted, denied, inadmissible, or withdrawn.")
]
Stream = Annotated[
    str | None, typer.Option("--stream", metavar="ID", help="Granted: the declared stream whose mail this was.")
]


@appeals.command("file")
def appeal_file(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A login or account id, one sanction, incident or case id; a tenant's id, or a step against it.",
        ),
    ],
    text: Words = None,
    late: Annotated[bool, typer.Option("--late", help="Take it although the time to appeal is over.")] = False,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """File an objection for somebody who asked for it, against one decision or all in force."""
    said = ask(
        load_config(config, state_dir),
        "appeal.file",
        target=target,
        text=text,
        late=late,
        **who(token, as_root=as_root),
    )
    result(
        said,
        as_json=as_json,
        text=lambda: [f"{count(said['filed'], 'objection')} filed", *_lines(said["appeals"])],
    )


@appeals.command("list")
def appeal_list(
    every: Annotated[bool, typer.Option("--all", help="The decided ones too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the appeals that wait for a decision, the one to be decided first at the top."""
    rows = ask(load_config(config, state_dir), "appeal.list", all=every, token=find_token(token))
    result(rows, as_json=as_json, text=lambda: _lines(rows))


@appeals.command("show")
def appeal_show(
    appeal: AppealId,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show all that whoever decides needs: the decision, the facts, what is kept, what was said, how the like ended."""
    said = ask(load_config(config, state_dir), "appeal.show", appeal=appeal, token=find_token(token))
    result(said, as_json=as_json, text=lambda: _screen(said))


@appeals.command("claim")
def appeal_claim(
    appeal: AppealId,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Take an appeal up. Whoever had a part in the decision cannot."""
    _step("appeal.claim", config, state_dir, as_json, appeal=appeal, token=find_token(token))


@appeals.command("assign")
def appeal_assign(
    appeal: AppealId,
    reviewer: Annotated[str, typer.Option("--reviewer", help="Whose it is now, by name.")],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Give an appeal to somebody else. It counts as looked at when they claim it."""
    _step("appeal.assign", config, state_dir, as_json, appeal=appeal, reviewer=reviewer, token=find_token(token))


@appeals.command("ask")
def appeal_ask(
    appeal: AppealId,
    text: Annotated[str, typer.Option("--text", help="What you want to know; kept sealed.")],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Ask the account's side something. The time to decide goes on."""
    _step("appeal.ask", config, state_dir, as_json, appeal=appeal, text=text, token=find_token(token))


@appeals.command("add")
def appeal_add(
    appeal: AppealId,
    text: Annotated[str, typer.Option("--text", help="What the account's side said; kept sealed.")],
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Write down what the account's side added."""
    _step("appeal.add", config, state_dir, as_json, appeal=appeal, text=text, **who(token, as_root=as_root))


@appeals.command("decide")
def appeal_decide(
    appeal: AppealId,
    outcome: Outcome,
    reason: Reason,
    alike: Annotated[
        bool, typer.Option("--alike", help="With every open appeal of the same incident, or of a row of like ones.")
    ] = False,
    lift: Annotated[bool, typer.Option("--lift", help="Partially granted: it ends now, the strike stays.")] = False,
    rung: Annotated[str | None, typer.Option("--rung", help="Partially granted: warn, or restrict.")] = None,
    hours: Annotated[int | None, typer.Option("--hours", min=1, help="Partially granted: so long from now.")] = None,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="Partially granted: what stays off. May be repeated.")
    ] = None,
    stream: Stream = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Decide an appeal. Whoever had a part in the decision cannot; granted annuls it and replays what came after."""
    wanted: dict[str, Any] = {"appeal": appeal, "outcome": outcome, "reason": reason, "stream": stream}
    if not alike:
        wanted |= {"lift": lift, "rung": rung, "hours": hours, "features": feature}
    verb = "appeal.decide_batch" if alike else "appeal.decide"
    said = ask(load_config(config, state_dir), verb, **wanted, token=find_token(token))
    # A tenant's appeal is about a step: no account's standing comes of it.
    result(said, as_json=as_json, text=lambda: [standing_line(said)] if "standing" in said else _lines([said]))


@appeals.command("reopen")
def appeal_reopen(
    appeal: AppealId,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Open a decided appeal again, once, on new evidence."""
    _step("appeal.reopen", config, state_dir, as_json, appeal=appeal, reason=reason, token=find_token(token))


def _step(verb: str, config: Any, state_dir: Any, as_json: bool, **arguments: Any) -> None:
    said = ask(load_config(config, state_dir), verb, **arguments)
    result(said, as_json=as_json, text=lambda: _lines([said]))


def _lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    head = ("appeal_id", "login", "filed_at", "channel", "state", "outcome", "decide_by", "missed", "sanction_id")
    cells = [row | {"missed": ",".join(row["missed"]) + ("!" if row["is_alarm"] else "") or None} for row in rows]
    return table(head, ([row[name] for name in head] for row in cells))


def _screen(said: dict[str, Any]) -> Iterable[str]:
    if "step" in said:
        yield from _step_screen(said)
        return
    decision, evidence = said["decision"], said["evidence"]
    sanction = decision["sanction"]
    yield standing_line(said["standing"])
    yield f"appeal {said['appeal_id']} is {said['state']}, to be decided by {said['decide_by']}"
    yield f"agreement {decision['agreement']} {decision['version']}, decided by {_short(decision['policy_digests'])}"
    if sanction is not None:
        by = "automatic" if sanction["is_automatic"] else printable(sanction["by"])
        yield f"{sanction['rung']} under {', '.join(sanction['clauses'])} ({by}), warranted {sanction['warranted']}"
    if decision["strike"] is not None:
        strike = decision["strike"]
        yield f"strike {strike['category']} S{strike['severity']}, counts until {strike['expires_at']}"
    lost = "; LOST: it cannot be denied" if evidence["is_lost"] else ""
    yield f"{count(said['mail_count'], 'mail')}, evidence of {len(evidence['kept'])} of them{lost}"
    head = ("at", "transaction_id", "categories", "codes", "recipients", "evidence_kept")
    yield from table(
        head,
        (
            [", ".join(m[name]) if name in ("categories", "codes") else m[name] for name in head]
            for m in said["mails"]
        ),
    )
    for words in said["said"]:
        yield f"{words['at']} {words['side']}: {printable(words['text'] or '(no words)')}"
    for one in said["precedents"]:
        yield f"before: {one['outcome']} {one['decided_at']} {one['appeal_id']}: {printable(one['reason'])}"


def _step_screen(said: dict[str, Any]) -> Iterable[str]:
    """Say an appeal of a tenant's side: against a step, which rests on no mail of its own."""
    step = said["step"]
    yield f"appeal {said['appeal_id']} of {printable(said['login'])} is {said['state']}, due {said['decide_by']}"
    ground = printable(step["statute"] or "") or ", ".join(step["clauses"]) or "-"
    yield f"{step['step']} {step['step_id']} since {step['starts_at']} under {ground}, by {printable(step['by'])}"
    if step["step"] == "terminate":
        yield f"in effect since {said['begun_at'] or '- (not yet)'}"
    yield f"because: {printable(step['reason'])}"
    for words in said["said"]:
        yield f"{words['at']} {words['side']}: {printable(words['text'] or '(no words)')}"


def _short(digests: list[str]) -> str:
    return ", ".join(digest[:12] for digest in digests) or "-"
