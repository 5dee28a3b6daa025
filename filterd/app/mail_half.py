"""The mail path's half: doors, checks and the gate.  What each worker runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from filterd import __version__
from filterd.agreement.adopted import adopted_lists, locked_lists
from filterd.agreement.load import unmapped
from filterd.app.checks import Neighbours, build_checks, dns_resolver, make_lists, make_locked, make_scanner
from filterd.app.current import CurrentGate
from filterd.app.identities import account_of, may_send_as
from filterd.app.parts import bypass_file, mail_rules, make_log, record
from filterd.app.policy import Policy
from filterd.checks import ALL_CODES
from filterd.checks.locked import LockedReader
from filterd.checks.spec import Check
from filterd.clients.relay import NextHopRelay
from filterd.clients.resolver import DnsResolver
from filterd.config import NextHopConfig
from filterd.doors import milter
from filterd.doors.milter import start_milter
from filterd.doors.policyd import start_policyd
from filterd.doors.serving import DoorServer
from filterd.doors.smtp import start_smtp
from filterd.doors.socketmap import start_socketmap
from filterd.errors import LedgerUnavailable, UsageError
from filterd.log import service_log
from filterd.model.entry import SITE
from filterd.model.standing import History
from filterd.pipeline.gate import MailGate
from filterd.pipeline.gate_rules import GateRules
from filterd.pipeline.recorder import Recorder
from filterd.ports import Clock, EvidenceSpool, Keys, Ledger, Scanner

# The policy service's name among the ports, and of a socket that systemd hands over for it.
POLICY_DOOR = "policy"
SOCKETMAP_DOOR = "socketmap"
# Sessions in flight may finish within this time after SIGTERM; Postfix waits 100 s for a before-queue filter.
DRAIN_S = 60.0
# And within this time after a second signal.
HURRY_S = 5.0
# A resolver that was replaced is asked by mail under way for as long as that may take.
_RETIRE_S = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outfit:
    """What the gate works with under one policy."""

    policy: Policy
    checks: tuple[Check, ...]
    rules: GateRules
    scanner: Scanner | None
    resolver: DnsResolver | None
    locked: LockedReader | None


class MailHalf:
    """Doors, checks and the gate. `take` puts another policy in force while mail goes on.

    Args:
        sockets: bound ones to listen on, by the listener's name, in place of what the configuration says.
        reuse_port: several processes share the ports (SO_REUSEPORT).
        hurry: set when the drain is to be cut short.
    """

    def __init__(
        self,
        policy: Policy,
        keys: Keys,
        clock: Clock,
        *,
        name: str,
        ledger: Ledger,
        spool: EvidenceSpool,
        next_hop: NextHopConfig,
        reuse_port: bool,
        sockets: Mapping[str, Sequence[socket.socket]] | None = None,
        hurry: asyncio.Event | None = None,
    ):
        self.policy, self._keys, self._clock = policy, keys, clock
        self.ledger, self._spool, self._next_hop, self._reuse_port = ledger, spool, next_hop, reuse_port
        self._sockets = sockets or {}
        self._hurry = hurry or asyncio.Event()
        self.log = make_log(policy.config, name, keys, clock)
        self.ports: dict[str, int] = {}
        self._next: _Outfit | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self, stack: AsyncExitStack) -> None:
        """Open the doors; on the way out they drain before anything behind them ends."""
        config = self.policy.config
        recorder = Recorder(self.log)
        outfit = self._outfit = await self._equip(self.policy, None)
        stack.push_async_callback(self._close_resolvers)
        gate = MailGate(
            ledger=self.ledger,
            spool=self._spool,
            clock=self._clock,
            keys=self._keys,
            terms=self.policy.agreements,
            default_terms=self.policy.agreements[config.agreement.default],
            checks=outfit.checks,
            rules=outfit.rules,
            recorder=recorder,
            bypass=bypass_file(config),
            resolver=outfit.resolver,
            exceptions=self.policy.files.exceptions,
            locked=outfit.locked,
        )
        self._gate = CurrentGate(gate)
        relay = NextHopRelay(self._next_hop)
        stack.push_async_callback(relay.close)
        servers = await self._open_doors(relay, recorder)
        stack.callback(self.log.stopped, "asked to")
        stack.push_async_callback(self._drain, servers)
        self.log.started(
            version=__version__, role="worker", checks=_versions(outfit.checks), policies=self.policy.digests
        )
        _warn_of_unmapped(self.policy)

    async def _open_doors(self, relay: NextHopRelay, recorder: Recorder) -> list[DoorServer]:
        config = self.policy.config
        servers: list[DoorServer] = []

        def on_error(session_id: str, error: BaseException) -> None:
            recorder.troubled(session_id, "door", error)

        for listener in config.listener:
            server = await start_smtp(
                listener,
                self._gate,
                relay,
                on_error=on_error,
                via=relay.name,
                sockets=self._sockets.get(listener.name),
                reuse_port=self._reuse_port,
            )
            servers.append(server)
            self.ports[listener.name] = server.port
        if config.policy_service.enabled:
            server = await start_policyd(
                config.policy_service,
                self._gate,
                on_error=on_error,
                sockets=self._sockets.get(POLICY_DOOR),
                reuse_port=self._reuse_port,
            )
            servers.append(server)
            self.ports[POLICY_DOOR] = server.port
        if config.milter.enabled:
            server = await start_milter(
                config.milter,
                self._gate,
                on_error=on_error,
                sockets=self._sockets.get(milter.LISTENER),
                reuse_port=self._reuse_port,
            )
            servers.append(server)
            self.ports[milter.LISTENER] = server.port
        if config.socketmap.enabled:
            server = await start_socketmap(
                config.socketmap,
                self._gate,
                on_error=on_error,
                sockets=self._sockets.get(SOCKETMAP_DOOR),
                reuse_port=self._reuse_port,
            )
            servers.append(server)
            self.ports[SOCKETMAP_DOOR] = server.port
        return servers

    # --- another policy -----------------------------------------------------------------------------------------------

    async def prepare(self, policy: Policy) -> None:
        """Make everything `policy` needs and keep it for `take`. Raises ConfigError or ModelError."""
        self._next = await self._equip(policy, self._outfit)

    async def take(self) -> None:
        """Put what was prepared in force for every mail from now on."""
        new, old = self._next, self._outfit
        if new is None:
            raise UsageError("no policy was prepared")
        policy = new.policy
        self._gate.gate = self._gate.gate.adopt(
            terms=policy.agreements,
            default_terms=policy.agreements[policy.config.agreement.default],
            checks=new.checks,
            rules=new.rules,
            resolver=new.resolver,
            exceptions=policy.files.exceptions,
            locked=new.locked,
        )
        self.policy, self._outfit, self._next = policy, new, None
        if old.resolver is not None and old.resolver is not new.resolver:
            task = asyncio.create_task(_close_later(old.resolver))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        record(lambda: self.log.config(checks=_versions(new.checks), policies=policy.digests))
        _warn_of_unmapped(policy)

    def drop(self) -> None:
        """Forget what was prepared."""
        self._next = None

    async def _equip(self, policy: Policy, old: _Outfit | None) -> _Outfit:
        """Make the checks with what they lean on; scanner and resolver, with what they remember, stay if they can."""
        config, before = policy.config, old.policy.config if old is not None else None
        if old is not None and before is not None and before.clamd == config.clamd:
            scanner = old.scanner
        else:
            scanner = await make_scanner(config)
        if (
            old is not None
            and before is not None
            and (before.dns, before.authentication.enabled) == (config.dns, config.authentication.enabled)
        ):
            resolver = old.resolver
        else:
            resolver = dns_resolver(config)
        neighbours = Neighbours(
            scanner=scanner,
            clock=self._clock,
            owner_of=self.ledger.domain_owner,
            account_of=account_of(self.ledger),
            may_send_as=may_send_as(self.ledger),
            term_lists=await make_lists(config, policy.files, self._clock, self._adopted),
        )
        checks = await asyncio.to_thread(build_checks, config, neighbours, policy.files)
        locked = await make_locked(config, policy.files, self._clock, self._locked)
        rules = await asyncio.to_thread(mail_rules, config)
        return _Outfit(
            policy=policy, checks=checks, rules=rules, scanner=scanner, resolver=resolver, locked=locked
        )

    # --- the end ------------------------------------------------------------------------------------------------------

    async def _drain(self, servers: Sequence[DoorServer]) -> None:
        """Let everybody finish; a second signal cuts that short."""
        drained: asyncio.Future[list[int]] = asyncio.gather(*(server.drain(DRAIN_S) for server in servers))
        hurried = asyncio.create_task(self._hurry.wait())
        either: set[asyncio.Future[Any]] = {drained, hurried}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not drained.done():
            drained.cancel()
            drained = asyncio.gather(*(server.drain(HURRY_S) for server in servers))
        left = sum(await drained)
        await self._gate.gate.flush()
        if left:
            # Their clients have had no reply, so they send them again.
            service_log().warning("unfinished", mails=left)

    async def _close_resolvers(self) -> None:
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._outfit.resolver is not None:
            await self._outfit.resolver.close()

    async def _adopted(self) -> Mapping[str, str] | None:
        """Say which contents of term lists two people have approved; None while nobody can be asked."""
        site = await self._site()
        return adopted_lists(site) if site is not None else None

    async def _locked(self) -> Mapping[str, str] | None:
        """The same of lists of locked categories: none while two people have not let such lists run."""
        site = await self._site()
        return {name: row.digest for name, row in locked_lists(site).items()} if site is not None else None

    async def _site(self) -> History | None:
        try:
            return await self.ledger.history(SITE)
        except LedgerUnavailable:
            return self.ledger.last_history(SITE)


async def _close_later(resolver: DnsResolver) -> None:
    try:
        await asyncio.sleep(_RETIRE_S)
    finally:
        await resolver.close()


def _versions(checks: Sequence[Check]) -> dict[str, str]:
    return {check.name: check.version for check in checks}


def _warn_of_unmapped(policy: Policy) -> None:
    for agreement in policy.agreements.values():
        for code in unmapped(agreement, ALL_CODES):
            service_log().warning("unmapped", agreement=agreement.id, code=code, effect="advisory")
