"""`filterd explain`: what a short code in a refusal means, and which entry of the lists decided about a mail.

The code's words are those of the page /why/CODE. The order of the entries: ops/docs/EXCEPTIONS.md.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import events_of, load_config
from filterd.cli.say import dumps, result
from filterd.errors import UsageError

Code = Annotated[
    str | None,
    typer.Argument(
        metavar="CODE|ID",
        help="Such as F-LINKS; or a transaction's id, to hear why it was decided so. Without it, all codes are listed.",
    ),
]
_OF_LISTS = "What the lists would say of mail like this"


def explain(
    code: Code = None,
    recipient: Annotated[str | None, typer.Option(metavar="ADDRESS", help=f"{_OF_LISTS}: to whom.")] = None,
    sender: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Likewise: envelope sender, or <>.")] = None,
    client: Annotated[str | None, typer.Option(metavar="IP", help="Likewise: the client's address.")] = None,
    from_domain: Annotated[str | None, typer.Option(metavar="DOMAIN", help="Likewise: of the From field.")] = None,
    passed: Annotated[
        list[str] | None, typer.Option(metavar="METHOD=DOMAIN", help="Likewise: what passed, such as spf=example.org.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="LOGIN", help="Likewise: who has signed in; then it is mail of our own.")
    ] = None,
    tenant: Annotated[list[str] | None, typer.Option(metavar="ID|DOMAIN", help="Likewise: the account's.")] = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say what a short code means, why a mail was decided as it was, or which entry of the lists mail would meet."""
    if any((recipient, sender, client, from_domain, passed, account, tenant)):
        from datetime import UTC, datetime

        from filterd.cli import listed

        found = listed.asked(
            load_config(config, state_dir),
            at=datetime.now(UTC),
            recipient=recipient,
            sender=sender,
            client=client,
            account=account,
            tenant=tenant or (),
            from_domain=from_domain,
            passed=passed or (),
        )
        result(found, as_json=as_json, text=lambda: [listed.line_of(one) for one in found] or ["no entry is about it"])
        return
    _code(code, load_config(config, state_dir), as_json=as_json)


def _code(code: str | None, config: Any, *, as_json: bool) -> None:
    from filterd.pipeline.texts import Why
    from filterd.pipeline.why import find, said

    told = {why.value: said(why, config.notices.appeals_address) for why in Why}
    names = ("meaning", "works", "objection")
    plain = {
        short: {name: {"en": text.en, "zh-Hans": text.zh} for name, (_, text) in zip(names, parts, strict=True)}
        for short, parts in told.items()
    }
    if code is None:
        result(plain, as_json=as_json, text=lambda: [f"{short:<13} {parts[0][1].en}" for short, parts in told.items()])
        return
    why = find(code)
    if why is None:
        _mail(code, config, as_json=as_json)
        return
    parts = told[why.value]
    lines = [why.value, *(f"{h.en}: {p.en}" for h, p in parts), *(f"{h.zh}：{p.zh}" for h, p in parts)]
    result({"code": why.value, **plain[why.value]}, as_json=as_json, text=lambda: lines)


def _mail(ident: str, config: Any, *, as_json: bool) -> None:
    """Say why a mail was decided as it was."""
    from filterd.cli.event_text import event_lines
    from filterd.cli.listed import about

    events = about(events_of(config), ident)
    if not events:
        raise UsageError(f"no code {ident!r}; `filterd explain` lists them")
    for event in events:
        for line in [dumps(event)] if as_json else event_lines(event):
            print(line)
