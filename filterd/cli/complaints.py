"""`filterd complaint`, `filterd optout`: who complains, and who asked for mail to stop.  ops/docs/COMPLAINTS.md."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import complain, count, dumps, printable, result, table
from filterd.errors import UsageError

complaints = typer.Typer(help="Complaints: a case number and a clock for each; reports about mail of ours read in.")
optouts = typer.Typer(help="Opt-outs: who asked an account to stop writing to them. That one recipient is refused.")

Answer = Annotated[
    str | None, typer.Option("--answer-to", metavar="ADDRESS", help="Who is written to; the address is kept nowhere.")
]
Account = Annotated[str, typer.Argument(metavar="LOGIN|ID", help="Whose mail it is about.")]


Unfounded = Annotated[str, typer.Option("--complaint", metavar="ID", help="The case that was closed as unfounded.")]


# --- complaints -------------------------------------------------------------------------------------------------------


@complaints.command("file")
def complaint_file(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="spam, harassment, other; false_alarm, service.")],
    message_id: Annotated[
        str | None, typer.Option("--message-id", metavar="ID", help="Of the mail it is about, with or without <>.")
    ] = None,
    transaction: Annotated[str | None, typer.Option("--transaction", metavar="TX", help="Our own id of it.")] = None,
    queue_id: Annotated[str | None, typer.Option("--queue-id", metavar="ID", help="The next hop's id of it.")] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="LOGIN|ID", help="false_alarm, service: whom it happened to.")
    ] = None,
    complainant: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="Who complains; only a keyed hash goes further.")
    ] = None,
    answer_to: Answer = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Take a complaint in that somebody made to you, also about a false alarm, and say its case number.

    Whom a complaint about a mail is about is said by our own record of the mail; without one the case is about nobody.
    """
    from filterd.cli import complaint_search as search

    settings = load_config(config, state_dir)
    who = search.hashed(settings, complainant) if complainant else None
    found = search.by_reference(
        settings, message_id=message_id, transaction=transaction, queue_id=queue_id, complainant=who
    )
    said = ask(
        settings,
        "complaint.file",
        kind=kind,
        account=account,
        found=found,
        complainant=who,
        answer_to=answer_to,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: [_case_line(said)])


@complaints.command("import")
def complaint_import(
    paths: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Mails, mailboxes, folders; - for one on stdin.")
    ],
    is_feedback_loop: Annotated[
        bool,
        typer.Option(
            "--feedback-loop", help="You know who sends these: equal words are the provider's, not a campaign."
        ),
    ] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Read reports in: feedback reports (ARF), mails that people forward or answer to, and delivery reports (DSN).

    Reports about one account are one case. What a report says of the sender counts for nothing; nobody is written to.
    A delivery report is no complaint: addresses that do not exist count for the declared stream the mail was of.
    """
    from filterd.cli import complaint_search as search

    settings, who = load_config(config, state_dir), find_token(token)
    taken, errors, bounces, bounced = [], 0, 0, 0
    for path, report in search.reports(settings, paths, is_feedback_loop=is_feedback_loop):
        if isinstance(report, str):
            errors += 1
            complain(f"{printable(path)}: {report}")
            continue
        if "failed" in report:
            said = ask(settings, "bounce.import", token=who, **report)
            bounces, bounced = bounces + 1, bounced + said["counted"]
        else:
            said = ask(settings, "complaint.import", token=who, **report)
            taken.append(said)
        if as_json:
            print(dumps({"path": path, **said}))
    if not taken and not errors and not bounces:
        raise UsageError("no mail in there")
    if not as_json:
        cases = {said["complaint_id"] for said in taken} - {None}
        matched = sum(said.get("account_id") is not None for said in taken)
        counted = sum(bool(said["is_counted"]) for said in taken)
        unheard = sum(bool(said.get("is_muted")) for said in taken)
        head = f"{count(len(taken), 'report')}: {count(len(cases), 'case')}"
        print(f"{head}, {matched} about mail of ours, {counted} counted")
        if unheard:
            print(f"{count(unheard, 'report')} of people who are muted: on record, and no case")
        if bounces:
            print(f"{count(bounces, 'delivery report')}: {count(bounced, 'bounce')} of declared streams counted")
    if errors:
        raise typer.Exit(1)


@complaints.command("list")
def complaint_list(
    every: Annotated[bool, typer.Option("--all", help="Those that are closed, too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the cases, the one due first on top."""
    rows = ask(load_config(config, state_dir), "complaint.list", all=every or None, token=find_token(token))
    head = ("complaint_id", "kind", "channel", "account_id", "due_at", "overdue", "outcome")
    cells = (["OVERDUE" if row[n] is True else "" if row[n] is False else row[n] for n in head] for row in rows)
    result(rows, as_json=as_json, text=lambda: table(head, cells))


@complaints.command("show")
def complaint_show(
    complaint: Annotated[str, typer.Argument(metavar="ID")],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say everything about one case but who complained, which is written down nowhere."""
    said = ask(load_config(config, state_dir), "complaint.show", complaint=complaint, token=find_token(token))
    result(said, as_json=as_json, text=lambda: _lines(said))


@complaints.command("close")
def complaint_close(
    complaint: Annotated[str, typer.Argument(metavar="ID")],
    outcome: Annotated[str, typer.Option("--outcome", help="acted, reviewed, or unfounded: it counts no more.")],
    reason: Reason,
    answer_to: Answer = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Close a case. Who complained is told that it was reviewed or acted on, never what was done to whom."""
    said = ask(
        load_config(config, state_dir),
        "complaint.close",
        complaint=complaint,
        outcome=outcome,
        reason=reason,
        answer_to=answer_to,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: _lines(said))


@complaints.command("contest")
def complaint_contest(
    complaint: Annotated[str, typer.Argument(metavar="ID")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Open a case again, once, that was closed without action: who complained says it was wrong. Another closes it."""
    given: dict[str, Any] = {"complaint": complaint, "reason": reason, "token": find_token(token)}
    said = ask(load_config(config, state_dir), "complaint.contest", **given)
    result(said, as_json=as_json, text=lambda: _lines(said))


@complaints.command("warn")
def complaint_warn(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Who complained there; only a letter bears it.")],
    complaint: Unfounded,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Warn somebody whose complaint was closed as unfounded: they get a letter, and may be muted for the next one."""
    from filterd.cli import complaint_search as search

    settings = load_config(config, state_dir)
    given: dict[str, Any] = {"complaint": complaint, "reason": reason, "token": find_token(token)}
    who = search.hashed(settings, address)
    said = ask(settings, "complaint.warn", notifier=who, answer_to=address.strip(), **given)
    result(said, as_json=as_json, text=lambda: _lines(said))


@complaints.command("mute")
def complaint_mute(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Who complained there after a warning.")],
    complaint: Unfounded,
    reason: Reason,
    days: Annotated[int, typer.Option("--days", help="For how long, at most 180.")] = 90,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Propose not to hear somebody's complaints for a while; another person approves. `register end` unmutes them."""
    from filterd.cli import complaint_search as search

    settings = load_config(config, state_dir)
    given: dict[str, Any] = {"complaint": complaint, "days": days, "reason": reason, "token": find_token(token)}
    who = search.hashed(settings, address)
    said = ask(settings, "proposal.make", act="notifier.mute", subject="site", notifier=who, **given)
    complain(
        f"another person approves it: filterd proposal approve {said['proposal_id']} --digest {said['digest'][:12]}"
    )
    result(said, as_json=as_json, text=lambda: [f"{said['proposal_id']}  {said['act']}"])


# --- opt-outs ---------------------------------------------------------------------------------------------------------


@optouts.command("add")
def optout_add(
    account: Account,
    recipient: Annotated[str, typer.Option("--recipient", metavar="ADDRESS", help="Who asked; kept as a keyed hash.")],
    kind: Annotated[
        str, typer.Option("--kind", help="person: at once. list: bulk mail; the sender has some days to honour it.")
    ] = "person",
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Write down that somebody asked an account to stop. Mail to that one recipient is refused, other mail is not."""
    said = ask(
        load_config(config, state_dir),
        "optout.file",
        account=account,
        recipient=recipient,
        kind=kind,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: _lines(said))


@optouts.command("list")
def optout_list(
    account: Annotated[str | None, typer.Option("--account", metavar="LOGIN|ID", help="Of one account.")] = None,
    recipient: Annotated[
        str | None, typer.Option("--recipient", metavar="ADDRESS", help="Of one who asked; no row has an address.")
    ] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the opt-outs in force."""
    settings = load_config(config, state_dir)
    rows = ask(settings, "optout.list", account=account, recipient=recipient, token=find_token(token))
    head = ("optout_id", "login", "kind", "since", "by")
    result(rows, as_json=as_json, text=lambda: table(head, ([row[n] for n in head] for row in rows)))


@optouts.command("remove")
def optout_remove(
    optout: Annotated[str, typer.Argument(metavar="ID")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """End one: the recipient said so, or it was an error."""
    settings = load_config(config, state_dir)
    said = ask(settings, "optout.end", optout=optout, reason=reason, token=find_token(token))
    result(said, as_json=as_json, text=lambda: _lines(said))


def _case_line(said: dict[str, Any]) -> str:
    if said.get("is_muted"):
        return "no case: two people do not hear this complainant for a while (filterd register list); it is on record"
    whom = said["account_id"] or "nobody that our record knows"
    return f"case {said['complaint_id']}, due {said['due_at']}, about {whom}"


def _lines(said: dict[str, Any]) -> list[str]:
    return [
        printable(f"{name}: {' '.join(value) if isinstance(value, list) else value}") for name, value in said.items()
    ]
