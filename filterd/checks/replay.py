"""Is one signed mail being sent again and again, from elsewhere than its signer's own servers?  FAULTS 38.

A DKIM signature says who signed, not to whom: whoever has one mail that a respected domain has signed can send it to
anybody, and it passes (RFC 6376 §8.6). What gives it away is one signature (b=), many recipients, and many networks
that the signer's own SPF record does not vouch for: a list or a newsletter comes from few.

Needs the spf and dkim verdicts. Finds auth.dkim.replayed. Nothing is temporary. It is a finding about a stranger's mail
and never about whoever signed it, who may be an account of ours: mail that comes in is nobody's act here.

Counted in memory, by each process for itself, for a day; bounded, the signature that was not seen for longest is
forgotten first. What is counted is distinct recipients, so that a mail tried again after a 451 is no second one.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from filterd.checks.dkim import MAX_SIGNATURES
from filterd.checks.dkim.signature import Signature, read_dkim
from filterd.checks.spec import Check, Code, Context, Prompt, skipped
from filterd.checks.spf import client_address
from filterd.checks.spf_query import Client, read_client
from filterd.model.message import Message
from filterd.model.session import Direction, Transaction
from filterd.model.verdict import AuthResult, FailMode, Finding, Outcome, Verdict

NAME, VERSION = "replay", "1"
REPLAYED = "auth.dkim.replayed"
CODES = (Code(code=REPLAYED, label="One signed mail comes to many, from networks that are not its signer's."),)

WINDOW = timedelta(days=1)
# Each signature keeps no more recipients and networks than its limits ask for; with the usual ones some 8 kB.
MAX_KEPT = 4_096
# Who uses so many servers for one mail has a /24 (IPv6: a /48) of them in one place.
_NETWORK_BITS = {4: 24, 6: 48}


class Signed(NamedTuple):
    """A signature that holds: `digest` of the octets of b=, and d=."""

    digest: bytes
    domain: str


class Seen(NamedTuple):
    """How many distinct recipients and networks a signature has come to and from, each counted up to its limit."""

    recipients: int
    networks: int


@dataclass(slots=True)
class _Kept:
    since: datetime
    recipients: set[bytes] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)


class Sightings:
    """What this process has seen of each signature within a day of its first sight.

    Args:
        recipients, networks: how many are counted; more are not told apart.
        most: signatures that are kept.
    """

    def __init__(self, *, recipients: int, networks: int, most: int = MAX_KEPT):
        self.recipients, self.networks = recipients, networks
        self._most = most
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, digest: bytes, recipients: Iterable[bytes], network: str, at: datetime) -> Seen:
        """Note one mail, and say what is known with it."""
        kept = self._kept.pop(digest, None)
        if kept is None or abs(at - kept.since) > WINDOW:
            kept = _Kept(since=at)
        self._kept[digest] = kept
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        for recipient in recipients:
            if len(kept.recipients) >= self.recipients:
                break
            kept.recipients.add(recipient)
        if len(kept.networks) < self.networks:
            kept.networks.add(network)
        return Seen(len(kept.recipients), len(kept.networks))


def holding(message: Message, results: Iterable[AuthResult]) -> Iterator[Signed]:
    """Give the signatures that hold. `results`: of the check `dkim`, one a signature field, from the top."""
    for raw, result in zip(message.all("dkim-signature")[:MAX_SIGNATURES], results, strict=False):
        signature = read_dkim(raw.raw) if result.result == "pass" else None
        if isinstance(signature, Signature):
            # Of the octets, not of how they are written: base64 takes blanks anywhere.
            yield Signed(hashlib.sha256(signature.signature).digest()[:16], signature.domain)


def is_vouched(domain: str, results: Iterable[AuthResult]) -> bool:
    """Say whether SPF lets this client send for the signer's domain, or for one above or below it."""
    said = (name for result in results if result.result == "pass" for _, name in result.properties)
    return any(_are_related(name.rpartition("@")[2].lower(), domain) for name in said)


def is_silent(domain: str, spf: Verdict, transaction: Transaction) -> bool:
    """Say whether it is the signer's own DNS that says nothing of this client. Of any other name, which whoever sends
    has chosen, silence vouches for nobody."""
    if spf.outcome is not Outcome.TEMPERROR:
        return False
    path = transaction.envelope.reverse_path
    name = path.domain if path is not None else (transaction.session.helo or "").removesuffix(".")
    return _are_related(name.lower(), domain)


def _are_related(name: str, domain: str) -> bool:
    """Say whether one is the other, or stands above or below it."""
    return name == domain or name.endswith(f".{domain}") or (bool(name) and domain.endswith(f".{name}"))


def network_of(client: Client) -> str:
    """Say the network that counts as one place."""
    return str(ipaddress.ip_network((client, _NETWORK_BITS[client.version]), strict=False))


def judge(seen: Iterable[tuple[Signed, Seen]], *, recipients: int, networks: int) -> Verdict:
    """Say whether one of the signatures of a mail is at both limits or above."""
    for signed, (to, of) in seen:
        if to >= recipients and of >= networks:
            why = (
                ("domain", signed.domain),
                ("signature", signed.digest[:4].hex()),
                ("recipients", str(to)),
                ("networks", str(of)),
            )
            found = Finding(code=REPLAYED, confidence=1.0, where="header.dkim-signature", why=why)
            return Verdict(check=NAME, version=VERSION, outcome=Outcome.FOUND, findings=(found,))
    return Verdict(check=NAME, version=VERSION, outcome=Outcome.CLEAN)


def make(sightings: Sightings, *, deadline_s: float) -> Check:
    """Make the check. Its fail mode is to accept: it has no error of its own."""

    def at_once(context: Context) -> Verdict:
        if context.direction is not Direction.INBOUND:
            return skipped(NAME, VERSION, context.direction.value)
        client = read_client(client_address(context.transaction.session))
        if client is None:
            return skipped(NAME, VERSION, "no_client_address")
        spf, dkim = context.verdict("spf"), context.verdict("dkim")
        if spf is None or dkim is None:
            return skipped(NAME, VERSION, "spf")
        strange = [one for one in holding(context.message, dkim.results) if not is_vouched(one.domain, spf.results)]
        # Whose server it is, nobody can say: a signer whose DNS is silent is not found replayed.
        signed = [one for one in strange if not is_silent(one.domain, spf, context.transaction)]
        if strange and not signed:
            return skipped(NAME, VERSION, "spf")
        to, network = tuple(_recipients(context)), network_of(client)
        seen = [(one, sightings.add(one.digest, to, network, context.transaction.received_at)) for one in signed]
        return judge(seen, recipients=sightings.recipients, networks=sightings.networks)

    async def later(context: Context) -> Verdict:
        return at_once(context)

    run = Prompt(at_once, later)
    return Check(
        name=NAME,
        version=VERSION,
        codes=CODES,
        run=run,
        needs=("spf", "dkim"),
        deadline_s=deadline_s,
        fail_mode=FailMode.ACCEPT,
    )


def _recipients(context: Context) -> Iterator[bytes]:
    """Give a mark for each recipient: enough to tell them apart, and no address is kept."""
    for forward in context.transaction.envelope.forward_paths:
        yield hashlib.blake2b(forward.path.address.lower().encode("utf-8", "surrogatepass"), digest_size=8).digest()
