"""`filterd bypass`: all mail passes, marked and unjudged, for a while."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import bypass_of, find_token, load_config
from filterd.cli.say import complain, printable, result
from filterd.errors import ConfigError, LedgerUnavailable, UsageError

if TYPE_CHECKING:
    from filterd.config import Config

bypasses = typer.Typer(help="Let all mail pass unjudged, for the hour in which filterd is the trouble.")

_LENGTH = re.compile(r"([0-9]{1,4})(m|h)")
_BY_ROOT = "root"


@bypasses.command("on")
def on(
    length: Annotated[str, typer.Option("--for", metavar="30m|2h", help="How long; a day at most. It ends by itself.")],
    reason: Reason,
    without_ledger: Annotated[
        bool,
        typer.Option("--without-ledger", help="When the ledger does not answer: as root, recorded once it is back."),
    ] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Let all mail pass: no check, no refusal, no sanction. Each mail is marked, and an alarm sounds every minute."""
    settings = load_config(config, state_dir)
    minutes = _minutes(length)
    if without_ledger:
        said = _without_ledger(settings, minutes, reason)
    else:
        said = _ask(settings, "bypass.on", minutes=minutes, reason=reason, token=find_token(token))

    def lines() -> Iterable[str]:
        yield f"all mail passes unjudged until {said['until']} (order {said['order_id']}, by {printable(said['by'])})"
        yield "it ends by itself; sooner with: filterd bypass off"

    result(said, as_json=as_json, text=lines)


@bypasses.command("off")
def off(
    without_ledger: Annotated[
        bool, typer.Option("--without-ledger", help="When the ledger does not answer.")
    ] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Check mail again, from now on."""
    from filterd.clients.bypass_file import BypassFile, read_order

    settings = load_config(config, state_dir)
    order = read_order(bypass_of(settings))
    if order is None:
        raise UsageError("no bypass is in force")
    if without_ledger:
        complain("WARNING: ending a bypass without the ledger; no named person answers for this")
        BypassFile(bypass_of(settings)).end()
        said = {"order_id": order.order_id, "by": _BY_ROOT}
    else:
        said = _ask(settings, "bypass.off", order_id=order.order_id, token=find_token(token))
    result(said, as_json=as_json, text=lambda: [f"mail is checked again (order {said['order_id']} ended)"])


@bypasses.command("status")
def status(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Say whether an order is in force. Needs no running filterd."""
    from datetime import UTC, datetime

    from filterd.clients.bypass_file import read_order

    order = read_order(bypass_of(load_config(config, state_dir)))
    now = datetime.now(UTC)
    is_active = order is not None and order.since <= now < order.until
    said: dict[str, object] = {"is_active": is_active}
    if order is not None and is_active:
        said |= {"order_id": order.order_id, "until": order.until, "by": order.by, "reason": order.reason}

    def lines() -> Iterable[str]:
        if order is None or not is_active:
            yield "no bypass: mail is checked"
            return
        left = int((order.until - now) / timedelta(minutes=1)) + 1
        yield f"ALL MAIL PASSES UNJUDGED for {left} more minutes, until {order.until:%Y-%m-%d %H:%M:%SZ}"
        yield f"ordered by {printable(order.by)} ({order.order_id}): {printable(order.reason)}"

    result(said, as_json=as_json, text=lines)


def _ask(settings: Config, verb: str, **arguments: Any) -> dict[str, str]:
    """Ask the ledger; when it is away, say how to do without it."""
    try:
        return dict(ask(settings, verb, **arguments))
    except LedgerUnavailable as err:
        raise LedgerUnavailable(f"{err}. If it cannot come back now: the same as root, with --without-ledger") from err


def _minutes(text: str) -> int:
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no length such as 30m or 2h; a day at most", key="--for")
    return int(found[1]) * (60 if found[2] == "h" else 1)


def _without_ledger(settings: Config, minutes: int, reason: str) -> dict[str, str]:
    """Write the order as root; the ledger records it when it is back."""
    from datetime import UTC, datetime

    from filterd.clients.bypass_file import write_order
    from filterd.pipeline.bypass import MAX_MINUTES, MIN_MINUTES, order_for, reason_of

    if not MIN_MINUTES <= minutes <= MAX_MINUTES:
        raise ConfigError(f"a bypass lasts {MIN_MINUTES} to {MAX_MINUTES} minutes", key="--for")
    complain("WARNING: a bypass without the ledger. No named person answers for this; the ledger entry will say 'root'")
    order = order_for(datetime.now(UTC), timedelta(minutes=minutes), by=_BY_ROOT, reason=reason_of(reason))
    write_order(bypass_of(settings), order)
    return {"order_id": order.order_id, "until": order.until.isoformat(), "by": order.by}
