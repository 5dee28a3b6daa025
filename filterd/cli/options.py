"""Options that many commands share, so that they mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="FILTERD_CONFIG", metavar="FILE", help="Configuration; default: the embedded one."),
]
StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="Use this state directory instead of the configuration's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="FILTERD_TOKEN",
        help="Who you are. Default: the file ~/.config/filterd/token. Other users can see it on a command line.",
    ),
]
AsRoot = Annotated[
    bool,
    typer.Option(
        "--as-root",
        help="Act without a person's name, as root or filterd's own user. The ledger says so, and an alarm sounds.",
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the ledger.")]
