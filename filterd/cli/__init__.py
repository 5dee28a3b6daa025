"""The command line: one command a thing an operator does, grouped like the rooms.  `filterd --help`.

    serve reload demo                   the processes that stay
    scan scan-text                      judge mails, or texts, without a ledger
    tenant account person directory     who there is
    incident sanction hold appeal task  what happened, and what people do to standing
    review proposal cure mandate        what waits for people, and for two of them
    security                            locks that protect and do not punish
    register                            what somebody answers for beforehand
    evidence quarantine                 the mail itself, where it was kept
    explain                             what a short code in a refusal means
    policy terms config doctor          is it right?
    dkim                                keys that sign, and their records
    service clock maintenance           the contract: terms, their ends, windows
    automation breaker recall           stop automatic sanctions, and take back what they did
    complaint optout                    who complains, who asked for mail to stop
    effect                              what was done outside: the MTA's queue, the identity system
    bypass                              let all mail pass for a while
    log ledger                          what happened, and does the record hold
    backup restore                      a copy of all of it, and back
    train evaluate                      models

Modules of a command import what they need when it runs: `filterd --help` is there at once, and serving never loads what
only training needs. Options and exit codes are stable (entry, options).
"""

from __future__ import annotations

import sys
from copy import copy
from typing import Annotated

import typer

from filterd import __version__
from filterd.cli.accounts import accounts
from filterd.cli.appeals import appeals
from filterd.cli.automation import automation, breakers, recalls
from filterd.cli.backup import backups
from filterd.cli.bypass import bypasses
from filterd.cli.claims import changes, reports, rights
from filterd.cli.clocks import clocks
from filterd.cli.complaints import complaints, optouts
from filterd.cli.cures import cures
from filterd.cli.directory import directories
from filterd.cli.dkim import dkim
from filterd.cli.doctor import doctor
from filterd.cli.effects import effects
from filterd.cli.entry import Entry
from filterd.cli.evidence import evidence
from filterd.cli.evidence_export import export, reads
from filterd.cli.explain import explain
from filterd.cli.incidents import incidents
from filterd.cli.learn import evaluate, train
from filterd.cli.ledger import ledger
from filterd.cli.logs import logs
from filterd.cli.maintenance import maintenance
from filterd.cli.mandates import mandates
from filterd.cli.notices import notices
from filterd.cli.people import people
from filterd.cli.policy import policies
from filterd.cli.proposals import proposals
from filterd.cli.quarantine import quarantine
from filterd.cli.queue import reviews
from filterd.cli.registers import registers
from filterd.cli.restore import restore
from filterd.cli.review import holds, sanctions, tasks
from filterd.cli.scan import scan
from filterd.cli.scan_text import scan_text
from filterd.cli.security import security
from filterd.cli.serve import demo, reload, serve
from filterd.cli.service import services
from filterd.cli.settings import configs
from filterd.cli.tenants import tenants
from filterd.cli.terms import term_lists

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
evidence.command("export")(export)
evidence.command("reads")(reads)
for name, group in (
    ("account", accounts),
    ("tenant", tenants),
    ("person", people),
    ("directory", directories),
    ("incident", incidents),
    ("sanction", sanctions),
    ("hold", holds),
    ("security", security),
    ("appeal", appeals),
    ("task", tasks),
    ("review", reviews),
    ("proposal", proposals),
    ("cure", cures),
    ("mandate", mandates),
    ("register", registers),
    ("rights", rights),
    ("report", reports),
    ("change", changes),
    ("complaint", complaints),
    ("optout", optouts),
    ("notice", notices),
    ("evidence", evidence),
    ("quarantine", quarantine),
    ("policy", policies),
    ("terms", term_lists),
    ("service", services),
    ("clock", clocks),
    ("maintenance", maintenance),
    ("automation", automation),
    ("breaker", breakers),
    ("recall", recalls),
    ("effect", effects),
    ("bypass", bypasses),
    ("config", configs),
    ("dkim", dkim),
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
    _of(sys.argv[1:2])()


def _of(called: list[str]) -> typer.Typer:
    """Say the program with the groups that are called: laying them all out takes longer than most commands."""
    groups = [group for group in app.registered_groups if [group.name] == called]
    alone = [info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands]
    if not groups and called not in [[name] for name in alone]:
        # Help, or a mistake, which is told what there is.
        return app
    small = copy(app)
    small.registered_groups = groups
    return small
