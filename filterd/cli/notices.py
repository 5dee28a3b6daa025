"""`filterd notice`: how a notice reads, which went out, and reports that came back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import load_config
from filterd.cli.say import printable, result, table
from filterd.errors import ConfigError, UsageError

notices = typer.Typer(help="What users and their administrators are told: preview, look up, delivery reports.")

_FileIn = Annotated[Path, typer.Argument(metavar="FILE.eml", help="The report, as it came.")]
# More than any report has; a mistake in the name must not fill the memory.
_MAX_REPORT_BYTES = 10_000_000


@notices.command("preview")
def preview(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Its name; a wrong one lists them all.")],
    lang: Annotated[str | None, typer.Option("--lang", metavar="en|zh-Hans", help="Else as readers would.")] = None,
    agreement: Annotated[str | None, typer.Option("--agreement", metavar="ID", help="For a made-up tenant.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="LOGIN", help="As its user would.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="As this tenant would.")] = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Word a general notice with made-up facts, once for each reader. Nothing is sent."""
    settings = load_config(config, state_dir)
    said = ask(
        settings,
        "notice.preview",
        event=event,
        language=lang,
        agreement=agreement,
        account=account,
        tenant=tenant,
    )

    def lines() -> Iterable[str]:
        for audience, copy in said["copies"].items():
            yield f"=== {audience} (template {said['event']} {said['version']}, agreement {said['agreement']})"
            yield from _letter(copy["subject"], copy["text"])

    result(said, as_json=as_json, text=lines)


@notices.command("list")
def listed(
    subject: Annotated[str, typer.Argument(metavar="LOGIN|TENANT", help="A login, a tenant's name, or an id.")],
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say every notice about an account or a tenant, and what became of it."""
    said = ask(load_config(config, state_dir), "notice.list", subject=subject)
    head = ("at", "notice", "template", "channel", "outcome", "received", "came back")

    def rows() -> Iterable[tuple[object, ...]]:
        for x in said:
            back = ", ".join(f"{y['audience']} {y['status']}" for y in x["came_back"]) or None
            name = f"{x['template']} {x['version']}".strip()
            yield x["at"], x["notice_id"], name, x["channel"], x["outcome"], x["deemed_at"], back

    result(said, as_json=as_json, text=lambda: table(head, rows()))


@notices.command("show")
def show(
    notice: Annotated[str, typer.Argument(metavar="NOTICE", help="Its id, from `notice list`.")],
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show the letters of one notice as they went out."""
    said = ask(load_config(config, state_dir), "notice.show", notice=notice)

    def lines() -> Iterable[str]:
        for x in said["outcomes"]:
            yield f"{x['at']} {x['template']} {x['outcome']} by {x['channel']}; received {x['deemed_at'] or '-'}"
        for audience, letter in said["letters"].items():
            subject, _, text = letter.partition("\n\n")
            yield f"=== {printable(audience)}"
            yield from _letter(subject, text)

    result(said, as_json=as_json, text=lines)


@notices.command("bounce")
def bounce(file: _FileIn, config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Take in a delivery report about a notice (RFC 3464); the same one twice adds nothing."""
    from filterd.mail.lines import canonical
    from filterd.mail.parse import parse
    from filterd.pipeline.notice_reports import VERB, read_bounce

    settings = load_config(config, state_dir)
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MAX_REPORT_BYTES)
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=file) from err
    raw = canonical(raw)[0]
    # The envelope is gone; the address it named mostly stands in To as well.
    to = (parse(raw).first("to") or "").strip().strip("<>")
    found = read_bounce(raw, (to,), settings.notices.report_address)
    if found is None:
        raise UsageError(f"{file}: no report that a notice of ours failed for good (RFC 3464)")
    said: Any = ask(settings, VERB, notice=found.notice_id, audience=found.audience.value, status=found.status)

    def lines() -> Iterable[str]:
        if not said["recorded"]:
            yield f"{said['notice']}: known already"
            return
        effect = "still counts as received" if said["is_theirs"] else "does not count as received by this channel"
        yield f"{said['notice']}: not delivered to {said['audience']} ({said['status']}); it {effect}"
        if said["told_instead"]:
            yield "others of the tenant's side are told instead"

    result(said, as_json=as_json, text=lines)


def _letter(subject: str, text: str) -> Iterable[str]:
    yield f"Subject: {printable(subject)}"
    yield ""
    yield from (printable(line) for line in text.splitlines())
    yield ""
