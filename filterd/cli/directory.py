"""`filterd directory`: what the operator's own directory says of a login.  ops/docs/DIRECTORY.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.options import ConfigFile, Json
from filterd.cli.places import load_config
from filterd.cli.say import printable, result
from filterd.errors import ConfigError, PeerError, PortError, UsageError

if TYPE_CHECKING:
    from filterd.ports import DirectorySource

directories = typer.Typer(help="Your own directory: LDAP, or a table of a database.")


@directories.command("test")
def directory_test(
    login: Annotated[str, typer.Argument(metavar="LOGIN")], config: ConfigFile = None, as_json: Json = False
) -> None:
    """Ask every source about a login and show what it says, as it would be taken. Changes nothing.

    Needs no running filterd. Exit 1 when a source cannot be asked, or when none has the login.
    """
    import asyncio

    from filterd.app.directory import directory_sources
    from filterd.mail.names import canonical_login

    settings = load_config(config)
    sources = directory_sources(settings.directory)
    if not sources:
        raise ConfigError("no source is switched on", file=config, key="directory.ldap.enabled")
    try:
        name = canonical_login(login)
    except PeerError as err:
        raise UsageError(f"{printable(login)}: {err}") from err
    answers = asyncio.run(_ask(sources, name))
    said = {"login": name, "answers": answers}
    result(said, as_json=as_json, text=lambda: _lines(answers))
    if any(answer["error"] for answer in answers) or not any(answer["facts"] for answer in answers):
        raise typer.Exit(1)


async def _ask(sources: tuple[DirectorySource, ...], login: str) -> list[dict[str, Any]]:
    answers = []
    for source in sources:
        facts, error = None, None
        try:
            facts = await source.look_up(login)
        except PortError as err:
            error = str(err)
        finally:
            await source.close()
        found = {name: value for name, value in asdict(facts).items() if name in facts.says} if facts else None
        unreadable = list(facts.unreadable) if facts else []
        answers.append({"source": source.name, "facts": found, "unreadable": unreadable, "error": error})
    return answers


def _lines(answers: list[dict[str, Any]]) -> Iterator[str]:
    for answer in answers:
        if answer["error"]:
            yield f"{answer['source']}: {printable(answer['error'])}"
        elif answer["facts"] is None:
            yield f"{answer['source']}: there is no such login"
        else:
            yield f"{answer['source']}:"
            for name, value in answer["facts"].items():
                yield f"  {name + ':':20}{_value(value)}"
            for name in answer["unreadable"]:
                yield f"  {name + ':':20}(cannot be read; what is known stays)"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return printable(" ".join(value)) or "-"
    return "-" if value is None else printable(value)
