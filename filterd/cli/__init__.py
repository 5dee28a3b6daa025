"""The command line: one command a thing an operator does, grouped like the rooms.  `filterd --help`.

    serve reload demo                   the processes that stay
    scan scan-text                      judge mails, or texts, without a ledger
    tenant account person directory     who there is
    sanction hold appeal task           what people do to standing
    evidence quarantine                 the mail itself, where it was kept
    explain                             what a short code in a refusal means
    policy config doctor                is it right?
    bypass                              let all mail pass for a while
    log ledger                          what happened, and does the record hold
    backup restore                      a copy of all of it, and back
    train evaluate                      models

Modules of a command import what they need when it runs: `filterd --help` is there at once, and serving never loads what
only training needs. Options and exit codes are stable (entry, options).
"""

from __future__ import annotations

from typing import Annotated

import typer

from filterd import __version__
from filterd.cli.accounts import accounts
from filterd.cli.backup import backups
from filterd.cli.bypass import bypasses
from filterd.cli.directory import directories
from filterd.cli.doctor import doctor
from filterd.cli.entry import Entry
from filterd.cli.evidence import evidence
from filterd.cli.explain import explain
from filterd.cli.learn import evaluate, train
from filterd.cli.ledger import ledger
from filterd.cli.logs import logs
from filterd.cli.people import people
from filterd.cli.policy import policies
from filterd.cli.quarantine import quarantine
from filterd.cli.restore import restore
from filterd.cli.review import appeals, holds, sanctions, tasks
from filterd.cli.scan import scan
from filterd.cli.scan_text import scan_text
from filterd.cli.serve import demo, reload, serve
from filterd.cli.settings import configs
from filterd.cli.tenants import tenants

app = typer.Typer(
    name="filterd",
    cls=Entry,
    help="Content-policy enforcement in the mail path, with graduated account sanctions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: laying it out with rich takes longer than everything else together.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# In the order of the help.
app.command()(serve)
app.command()(reload)
app.command()(scan)
app.command(name="scan-text")(scan_text)
for name, group in (
    ("account", accounts),
    ("tenant", tenants),
    ("person", people),
    ("directory", directories),
    ("sanction", sanctions),
    ("hold", holds),
    ("appeal", appeals),
    ("task", tasks),
    ("evidence", evidence),
    ("quarantine", quarantine),
    ("policy", policies),
    ("bypass", bypasses),
    ("config", configs),
    ("log", logs),
    ("ledger", ledger),
    ("backup", backups),
):
    app.add_typer(group, name=name, no_args_is_help=True)
app.command()(restore)
app.command()(explain)
app.command()(doctor)
app.command()(train)
app.command()(evaluate)
app.command()(demo)


def _say_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"filterd {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console script."""
    app()
