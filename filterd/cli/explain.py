"""`filterd explain`: what a short code in a refusal means.  The same words as the page /why/CODE."""

from __future__ import annotations

from typing import Annotated

import typer

from filterd.cli.options import ConfigFile, Json
from filterd.cli.places import load_config
from filterd.cli.say import result
from filterd.errors import UsageError

Code = Annotated[str | None, typer.Argument(metavar="CODE", help="Such as F-LINKS; without it, all codes are listed.")]


def explain(code: Code = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """Say what a short code in a refusal means, in both languages."""
    from filterd.pipeline.texts import Why
    from filterd.pipeline.why import find, said

    appeals = load_config(config, None).notices.appeals_address
    told = {why.value: said(why, appeals) for why in Why}
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
        raise UsageError(f"no code {code!r}; `filterd explain` lists them")
    parts = told[why.value]
    lines = [why.value, *(f"{h.en}: {p.en}" for h, p in parts), *(f"{h.zh}：{p.zh}" for h, p in parts)]
    result({"code": why.value, **plain[why.value]}, as_json=as_json, text=lambda: lines)
