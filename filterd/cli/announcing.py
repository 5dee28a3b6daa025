"""Were customers told of the terms in these files before they begin?  For `filterd policy check`.  TX-4.1.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from filterd.errors import ConfigError, LedgerUnavailable

if TYPE_CHECKING:
    from datetime import datetime

    from filterd.agreement.terms import Agreement
    from filterd.config import Config
    from filterd.model.standing import History


def to_announce(config: Config, files: Iterable[Agreement]) -> dict[str, str]:
    """Say, by digest, what is wrong with the announcement of each file that replaces another version some day to come.

    The versions it replaces are looked for among the files and in the configuration. What began already is said by a
    running node, which knows when its record began.
    """
    from filterd.agreement.announced import unannounced
    from filterd.agreement.versions import begins_at, conflict, shelved
    from filterd.app.announced import how_to_announce
    from filterd.clients.clock import SystemClock

    now, files = SystemClock().now(), list(files)
    coming = {item.digest for item in files if begins_at(item) > now}
    if not coming:
        return {}
    known = {item.digest: item for item in (*_configured(config, now), *files)}
    by_id: dict[str, list[Agreement]] = {}
    for item in known.values():
        by_id.setdefault(item.id, []).append(item)
    replacing = [items for items in by_id.values() if len(items) > 1 and conflict(items) is None]
    if not replacing:
        return {}
    site = _announced(config)
    said = {}
    for items in replacing:
        (head,) = shelved(items, now).values()
        for item in unannounced(head, site or _nothing(), now, began_at=now):
            why = "was not announced" if site is not None else "nobody can be asked whether it was announced"
            said[item.digest] = f"{item.id} {item.version} replaces another version and {why}: {how_to_announce(item)}"
    return {digest: text for digest, text in said.items() if digest in coming}


def _configured(config: Config, now: datetime) -> Iterator[Agreement]:
    from filterd.agreement.versions import versions
    from filterd.app import load_agreements

    try:
        heads = load_agreements(config, now)
    except ConfigError:
        # The file that is looked at may be the one that mends them.
        return
    for head in heads.values():
        yield from (item.model_copy(update={"versions": ()}) for item in versions(head))


def _announced(config: Config) -> History | None:
    """Ask the running ledger what was announced; None where it does not run or is not ours to ask."""
    import dataclasses
    from datetime import datetime

    from filterd.cli.link import ask
    from filterd.model import records as r
    from filterd.model.entry import SITE
    from filterd.model.standing import History

    try:
        rows: list[dict[str, Any]] = ask(config, "change.list", all=True)
    except (LedgerUnavailable, OSError):
        return None
    names = {field.name for field in dataclasses.fields(r.ChangeAnnounced)}
    changes = []
    for row in rows:
        said = {name: value for name, value in row.items() if name in names}
        said |= {name: datetime.fromisoformat(said[name]) for name in ("at", "effective_at")}
        changes.append(r.ChangeAnnounced(**said))
    return History(account_id=SITE, further=tuple(changes))


def _nothing() -> History:
    from filterd.model.entry import SITE
    from filterd.model.standing import History

    return History(account_id=SITE)
