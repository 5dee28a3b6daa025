"""What restrictions look at in a mail: numbers, yes-or-no facts and keyed hashes.  STANDING 5.11.

What takes a question to the ledger is asked only while the account is kept from it: whose an address is (`from_own`),
who of the recipients wrote first (`strangers`). Raises LedgerUnavailable where that cannot be said.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from filterd.agreement.decide import breaches
from filterd.agreement.disposition import AUTO_FORWARD, FROM_OWN, STRANGERS
from filterd.agreement.registers import is_to_few
from filterd.checks.sender_fields import mailboxes
from filterd.errors import PeerError
from filterd.mail.forwarded import is_by_rule
from filterd.mail.names import canonical_login
from filterd.model import records as r
from filterd.model.decision import Case, Counts, MailFacts
from filterd.model.ids import keyed_hash
from filterd.model.message import Message
from filterd.model.sanction import RECIPIENT
from filterd.model.session import Path
from filterd.pipeline.author import Author, Known
from filterd.pipeline.reach import Reach
from filterd.pipeline.received import came_first, carried
from filterd.pipeline.streams import has_one_click, stream_keys
from filterd.ports import Keys, Ledger

# RFC 5233: what stands behind it in a local part belongs to the mailbox in front.
_TAG = "+"


def is_external(forward: Path, domains: tuple[str, ...]) -> bool:
    """Say whether a recipient is outside the organisation with these domains."""
    # A path without a domain is a local name (RFC 5321 §4.1.1.3: <Postmaster>).
    return forward.domain not in (*domains, "")


class FactFinder:
    """Gathers MailFacts. `reach`: recipients no restriction keeps anybody from."""

    def __init__(self, ledger: Ledger, keys: Keys, reach: Reach):
        self._ledger, self._keys, self._reach = ledger, keys, reach

    async def of_mail(
        self,
        message: Message,
        reverse_path: Path | None,
        forwards: tuple[Path, ...],
        author: Author,
        counts: Counts | None,
        at: datetime,
    ) -> MailFacts:
        """Say the facts of a whole mail, received at `at`."""
        domains, known = author.domains, author.known
        reachable = [f for f in forwards if known is not None and self._reach.covers(f, domains)]
        others = tuple(f for f in forwards if f not in reachable)
        off = known.features_off(at) if known is not None else frozenset()
        facts = MailFacts(
            recipients=len(forwards),
            external_recipients=sum(1 for f in forwards if is_external(f, domains)),
            has_attachments=bool(message.attachments),
            has_links=bool(message.links),
            counts=counts or Counts(),
            reachable_recipients=len(reachable),
            reachable_external=sum(1 for f in reachable if is_external(f, domains)),
            recipient_hashes=self.locked(others, known),
            size_bytes=len(message.raw),
            is_by_rule=AUTO_FORWARD in off and is_by_rule(message),
            is_from_another=FROM_OWN in off
            and known is not None
            and await self._is_from_another(message, reverse_path, known),
            strangers=await self._strangers(others, known, at) if STRANGERS in off and known is not None else 0,
        )
        return self._for_registers(facts, message, forwards, known)

    def _for_registers(
        self, facts: MailFacts, message: Message, forwards: tuple[Path, ...], known: Known | None
    ) -> MailFacts:
        """Add what the registers of its tenant ask of a mail; nothing where it has no such entries."""
        tenant = known.around.tenant if known is not None else None
        if tenant is None:
            return facts
        if tenant.of(r.AuthorisationGiven):
            facts = replace(facts, recipient_domains=tuple(dict.fromkeys(f.domain for f in forwards)))
        if tenant.of(r.StreamDeclared):
            authors = [f"{x.local_part}@{x.domain}" for x in mailboxes(message, "from") if x.domain is not None]
            author = authors[0] if len(authors) == 1 else None
            keys = stream_keys(message, author, lambda text: keyed_hash(self._keys.pseudonym, text.lower()))
            facts = replace(facts, stream_keys=keys, has_one_click=has_one_click(message))
        return facts

    async def of_recipient(
        self, reverse_path: Path | None, forward: Path, accepted: int, known: Known, at: datetime
    ) -> MailFacts:
        """Say what is known before DATA of one recipient, after `accepted` others."""
        off = known.features_off(at)
        return MailFacts(
            recipients=accepted + 1,
            external_recipients=int(is_external(forward, known.account.tenant_domains)),
            has_attachments=False,
            has_links=False,
            recipient_hashes=self.locked((forward,), known),
            is_from_another=FROM_OWN in off
            and reverse_path is not None
            and not await self._is_own(reverse_path.address, known),
            strangers=await self._strangers((forward,), known, at) if STRANGERS in off else 0,
        )

    def pseudonyms(self, forwards: tuple[Path, ...]) -> tuple[str, ...]:
        """Say by which keyed hashes rows know these recipients."""
        return tuple(self._hash(f) for f in forwards)

    def locked(self, forwards: tuple[Path, ...], known: Known | None) -> tuple[str, ...]:
        """Say the keyed pseudonyms of recipients, for an account that was ever kept from writing to one."""
        imposed = [s.imposed for s in known.history.sanctions] if known is not None else []
        if not any(f.name == RECIPIENT for x in imposed for f in x.features):
            return ()
        return tuple(self._hash(f) for f in forwards)

    def for_the_record(self, case: Case, forwards: tuple[Path, ...], author: Author) -> Case:
        """Say a case with keyed pseudonyms of all recipients: bulk mail is known again by them (STANDING 5.7-5)."""
        others = tuple(f for f in forwards if author.known is None or not self._reach.covers(f, author.domains))
        return replace(case, facts=replace(case.facts, recipient_hashes=tuple(self._hash(f) for f in others)))

    async def with_received(self, case: Case, message: Message, author: Author) -> Case:
        """Say a case with whether what was found in the mail came to the tenant from outside before (STANDING
        5.7-12)."""
        rules = author.known.terms.registers if author.known is not None else None
        if author.known is None or rules is None or not is_to_few(case.facts, rules):
            return case
        what = carried(message, case.text_fp, lambda text: keyed_hash(self._keys.pseudonym, text.lower()))
        if not what.keys:
            return case
        since = (case.at - timedelta(days=rules.received_days)).date().isoformat()
        given = {"tenant_id": author.known.account.tenant_id, "senders": list(what.keys), "since": since}
        met = await self._ledger.call("senders.known", given)
        codes = {code for violation in breaches(case, author.known.terms) for code in violation.finding_codes}
        behind = [finding for finding in case.assessment.findings if finding.code in codes]
        return replace(case, facts=replace(case.facts, was_received_first=came_first(what, met, behind)))

    def externals(self, forwards: tuple[Path, ...], domains: tuple[str, ...]) -> tuple[bool, ...]:
        """Say of each recipient whether it counts as an external one; who is always reachable does not."""
        return tuple(is_external(f, domains) and not self._reach.covers(f, domains) for f in forwards)

    async def _is_from_another(self, message: Message, reverse_path: Path | None, known: Known) -> bool:
        """Say whether From, Sender or the envelope sender bears an address that is not the account's own.

        A mail without an author, or with one nobody can read, is not from the account's own address. The null sender
        names nobody.
        """
        authors = mailboxes(message, "from")
        if not authors:
            return True
        named = [reverse_path.address] if reverse_path is not None else []
        for box in (*authors, *mailboxes(message, "sender")):
            if box.domain is None:
                return True
            named.append(f"{box.local_part}@{box.domain}")
        for address in dict.fromkeys(named):
            if not await self._is_own(address, known):
                return True
        return False

    async def _is_own(self, address: str, known: Known) -> bool:
        """Say whether an address is the account's login, one of its aliases, or one of these with a tag."""
        try:
            login = canonical_login(address)
        except PeerError:
            return False
        mine = known.account
        bare = () if "@" in mine.login else tuple(f"{mine.login}@{domain}" for domain in mine.tenant_domains)
        if login in (mine.login, *bare):
            return True
        found = await self._ledger.account_for(login, may_create=False)
        if found is not None:
            return found.account_id == mine.account_id
        local_part, _, domain = login.rpartition("@")
        name, tag, _ = local_part.partition(_TAG)
        return bool(tag and name) and await self._is_own(f"{name}@{domain}", known)

    async def _strangers(self, forwards: tuple[Path, ...], known: Known, at: datetime) -> int:
        """Say how many outside recipients have not written to the organisation lately (STANDING 5.11, look-back)."""
        outside = [self._hash(f) for f in forwards if is_external(f, known.account.tenant_domains)]
        if not outside:
            return 0
        since = at - timedelta(days=known.terms.security.wrote_first_days)
        given = {"tenant_id": known.account.tenant_id, "senders": outside, "since": since.date().isoformat()}
        met = set(await self._ledger.call("senders.known", given))
        return sum(1 for who in outside if who not in met)

    def _hash(self, forward: Path) -> str:
        return keyed_hash(self._keys.pseudonym, forward.address.lower())
