"""`filterd log index`: the search index over the event stream: how far is it, and make it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import events_of, load_config
from filterd.cli.say import Progress, count, dumps, result, table
from filterd.errors import PortError, UsageError

if TYPE_CHECKING:
    from filterd.clients.verdict_index import StoredVerdictIndex
    from filterd.config import Config

indexes = typer.Typer(help="The search index over the event stream.")


def index_of(config: Config, *, may_create: bool = False) -> StoredVerdictIndex | None:
    """Say the index of this node, None when the configuration wants none."""
    from filterd.clients.verdict_index import open_index

    if not config.index.enabled:
        return None
    return open_index(config.node.state_dir, url=config.index.url, may_create=may_create)


@indexes.command("status")
def status(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Say what the index holds, and how far behind the event stream it is."""
    from filterd.cli.finding import status_json

    settings = load_config(config, state_dir)
    index = _wanted(settings)
    try:
        found = index.status()
        said = status_json(found, {w: _behind(settings, index, w) for w in _writers(events_of(settings))})
    finally:
        index.close()

    def lines() -> list[str]:
        head = f"{said['place']}: {count(said['mails'], 'mail')}, {count(said['answers'], 'answer')}"
        since = f", kept since {said['kept_since']:%Y-%m-%d %H:%M}Z" if said["kept_since"] else ""
        rows = [(writer, place["seq"], place["behind"]) for writer, place in said["writers"].items()]
        return [head + since, *table(("writer", "read up to", "events behind"), rows)]

    result(said, as_json=as_json, text=lines)


@indexes.command("rebuild")
def rebuild(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Throw the index away and make it anew of the event stream's files.

    A running filterd goes on with it by itself; what it takes in meanwhile is not taken in twice.
    """
    from datetime import timedelta

    from filterd.clients.clock import SystemClock
    from filterd.workers.indexer import Indexer

    settings = load_config(config, state_dir)
    directory = events_of(settings)
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no event stream here; --config or --state-dir says where")
    index = _wanted(settings, may_create=True)
    progress, events = Progress("indexed"), 0
    try:
        if settings.index.url is None:
            index.clear()
        else:
            # Other nodes share it: only what this node can make anew.
            for writer in index.status().positions:
                if writer.startswith(f"{settings.node.name}."):
                    index.rewind(writer, 0)
        retention = timedelta(days=settings.index.retention_days)
        indexer = Indexer(index, directory, SystemClock(), retention=retention)
        try:
            for number in indexer.catch_up():
                events += number
                progress.step(events)
        finally:
            indexer.forget()
        mails = index.status().mails
    finally:
        index.close()
        progress.end()
    said = {"events": events, "mails": mails}
    if as_json:
        print(dumps(said))
    else:
        print(f"read {count(events, 'event')}; the index holds {count(mails, 'mail')}")


def _wanted(config: Config, *, may_create: bool = False) -> StoredVerdictIndex:
    index = index_of(config, may_create=may_create)
    if index is None:
        raise UsageError("the configuration wants no index (index.enabled)")
    return index


def _writers(directory: Path) -> set[str]:
    from filterd.log.read import stream_files, writer_of

    return {writer_of(path) for path in stream_files(directory)} if directory.is_dir() else set()


def _behind(config: Config, index: StoredVerdictIndex, writer: str) -> int:
    """Say how many events of a stream the index has not read. Raises PortError."""
    from filterd.log.follow import Follower
    from filterd.model.found import StreamPosition

    position = index.position(writer)
    follower = Follower(events_of(config), writer, position or StreamPosition())
    try:
        return max(0, follower.last_seq() - (position.seq if position is not None else 0))
    except OSError as err:
        raise PortError(f"{err.filename}: {err.strerror}") from err
    finally:
        follower.close()
