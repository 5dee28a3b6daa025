"""Which halves a process holds, and what each is given.  Who starts which process is `supervisor`'s matter."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from filterd.app.held import notice_relay, release_hop
from filterd.app.ledger_half import LedgerHalf
from filterd.app.mail_half import POLICY_DOOR, SOCKETMAP_DOOR, MailHalf
from filterd.app.parts import KEY_FILE, make_clock, socket_path
from filterd.app.policy import Policy, read_policy
from filterd.clients.key_source import find_keys
from filterd.clients.mailer import RelayMailer
from filterd.clients.relay import NextHopRelay
from filterd.clients.sink import start_sink
from filterd.config import Config, NextHopConfig
from filterd.doors import milter
from filterd.errors import ConfigError
from filterd.ledger.engine import SPOOL_NAME
from filterd.ledger.remote import RemoteLedger
from filterd.ledger.spool import Spool
from filterd.ledger.store import FILE_NAME as STORE_FILE
from filterd.ports import Clock, Keys

Sockets = Mapping[str, Sequence[socket.socket]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """Both halves in one process."""

    ledger: LedgerHalf
    mail: MailHalf


def prepare(config: Config) -> tuple[Keys, Clock]:
    """Make the state directory, read the keys, make the clock. Raises ModelError naming the file at fault."""
    state = config.node.state_dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Beside an existing ledger a missing key must not be healed by a new one: nothing could be read any more.
    file = state / KEY_FILE
    keys = find_keys(config.keys.master, file, may_create=not file.exists() and not has_ledger(config))
    return keys, make_clock(config)


def has_ledger(config: Config) -> bool:
    """Say whether there is a ledger already, here or in the database. Raises ModelError when that cannot be asked."""
    if config.ledger.url is None:
        return (config.node.state_dir / STORE_FILE).exists()
    from filterd.ledger.postgres import is_empty

    return not is_empty(config.ledger.url)


def check_names(config: Config, names: Sequence[str]) -> None:
    """Raise ConfigError for a socket that systemd hands over and no door of ours listens on."""
    known = {item.name for item in config.listener}
    if config.policy_service.enabled:
        known.add(POLICY_DOOR)
    if config.socketmap.enabled:
        known.add(SOCKETMAP_DOOR)
    if config.milter.enabled:
        known.add(milter.LISTENER)
    if strange := sorted(set(names) - known):
        raise ConfigError(
            f"no listener is called {', '.join(strange)}; there are {', '.join(sorted(known))}",
            key="FileDescriptorName=",
        )


async def next_hop(config: Config, stack: AsyncExitStack) -> NextHopConfig:
    """Say the next hop, starting the built-in sink when that is what the configuration asks for."""
    if config.next_hop.address != "sink":
        return config.next_hop
    folder = config.node.state_dir / "sink"
    folder.mkdir(parents=True, exist_ok=True)
    sink = await start_sink(directory=folder)
    stack.push_async_callback(sink.close)
    return config.next_hop.model_copy(update={"address": sink.address})


def notice_hop(config: Config, hop: NextHopConfig) -> NextHopConfig:
    """Say where notices go."""
    return notice_relay(config.notices.relay, hop) if config.notices.relay else hop


async def run_ledger(policy: Policy, stack: AsyncExitStack, hop: NextHopConfig) -> LedgerHalf:
    """Start the ledger process."""
    keys, clock = prepare(policy.config)
    return await _start_ledger(policy, stack, hop, keys, clock)


async def run_worker(
    policy: Policy,
    stack: AsyncExitStack,
    hop: NextHopConfig,
    number: int,
    *,
    sockets: Sockets | None = None,
    hurry: asyncio.Event | None = None,
) -> MailHalf:
    """Start one worker process, which talks to the ledger process over its socket."""
    config = policy.config
    keys, clock = prepare(config)
    ledger = RemoteLedger(socket_path(config), trusted_s=config.ledger.last_word_s)
    await ledger.start(wait_s=30)
    stack.push_async_callback(ledger.close)
    half = MailHalf(
        policy,
        keys,
        clock,
        name=f"w{number}",
        ledger=ledger,
        spool=Spool(config.node.state_dir / SPOOL_NAME, keys.spool, quota_bytes=config.evidence.spool_mb << 20),
        next_hop=hop,
        reuse_port=True,
        sockets=sockets,
        hurry=hurry,
    )
    await half.run(stack)
    return half


async def run_both(
    policy: Policy, stack: AsyncExitStack, *, sockets: Sockets | None = None, hurry: asyncio.Event | None = None
) -> Halves:
    """Start everything in this process."""
    keys, clock = prepare(policy.config)
    hop = await next_hop(policy.config, stack)
    ledger = await _start_ledger(policy, stack, hop, keys, clock)
    mail = MailHalf(
        policy,
        keys,
        clock,
        name="w0",
        ledger=ledger.ledger,
        spool=ledger.engine.spool,
        next_hop=hop,
        reuse_port=False,
        sockets=sockets,
        hurry=hurry,
    )
    await mail.run(stack)
    return Halves(ledger=ledger, mail=mail)


async def run_all_in_one(config: Config, stack: AsyncExitStack) -> MailHalf:
    """Read the policy and start everything in this process. Raises ConfigError or ModelError."""
    config.node.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    halves = await run_both(read_policy(config, make_clock(config)), stack)
    return halves.mail


async def _start_ledger(
    policy: Policy, stack: AsyncExitStack, hop: NextHopConfig, keys: Keys, clock: Clock
) -> LedgerHalf:
    half = LedgerHalf(policy, keys, clock)
    relay = NextHopRelay(notice_hop(policy.config, hop))
    stack.push_async_callback(relay.close)
    releases = NextHopRelay(release_hop(policy.config, hop))
    stack.push_async_callback(releases.close)
    await half.run(stack, RelayMailer(relay), releases)
    return half
