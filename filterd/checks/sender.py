"""Does this mail use a name that is not its sender's?  TX-3.5.1, TX-2.2.1; CLAUSES `impersonation.*`; FAULTS 35, 39.

Compares From, Sender and the envelope sender with the login's tenant, and looks for imitations. All authors of a From
field are judged: which of several is the author is a question for DMARC, that none of them is a stranger is one for us.
Mail of an account of ours:
  sender.from.other_tenant    From, Sender or a Resent- field names another tenant's domain
  sender.from.protected       ... a domain that the operator has reserved
  sender.from.foreign         ... a domain that is neither the tenant's, nor below it, nor delegated to it; only for
                              tenants whose domains somebody declared, not those that first mail made
  sender.envelope.foreign     the envelope sender does; the null sender and rewritten ones (SRS) name nobody
  sender.from.other_account   From names another mailbox of the same tenant, with a tag or without, which is neither an
                              alias of the account's nor one it may send as (advice)
All mail, inbound too, for the protection of our own users:
  sender.from.lookalike       From imitates a protected or a tenant's domain
  sender.name.protected       the display name is a protected one, or shows a protected domain's address
Beside a borrowed name in mail of ours: sender.reply_to.mismatch, answers go to another registered domain.
Temporary: the directory cannot be asked. A domain nobody of ours owns says nothing about an inbound mail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from filterd.checks import psl
from filterd.checks.sender_facts import EVERY, AccountOf, Facts, LookUp, MaySendAs, OwnerOf
from filterd.checks.sender_fields import Mailbox
from filterd.checks.sender_names import OWN, Guard, Protected, is_within
from filterd.checks.spec import Check, Code, Context
from filterd.errors import ConfigError, PeerError
from filterd.mail.names import canonical_domain
from filterd.model.verdict import FailMode, Finding, Outcome, Verdict

__all__ = ["CODES", "NAME", "VERSION", "AccountOf", "MaySendAs", "OwnerOf", "judge", "make"]

NAME, VERSION = "sender", "4"
SIGNAL = "identity"

OTHER_TENANT = "sender.from.other_tenant"
RESERVED = "sender.from.protected"
FOREIGN = "sender.from.foreign"
ENVELOPE = "sender.envelope.foreign"
OTHER_ACCOUNT = "sender.from.other_account"
LOOKALIKE = "sender.from.lookalike"
PROTECTED_NAME = "sender.name.protected"
REPLY_TO = "sender.reply_to.mismatch"

CODES = (
    Code(code=OTHER_TENANT, label="The From domain is another tenant's.", signal=SIGNAL),
    Code(code=RESERVED, label="The From domain is one that the operator has reserved.", signal=SIGNAL),
    Code(code=FOREIGN, label="The From domain is not one of the tenant's declared domains.", signal=SIGNAL),
    Code(code=ENVELOPE, label="The envelope sender's domain is not one of the tenant's domains.", signal=SIGNAL),
    Code(code=OTHER_ACCOUNT, label="The From address is another account's of the same tenant.", signal=SIGNAL),
    Code(code=LOOKALIKE, label="The From domain looks like a protected domain and is another.", signal=SIGNAL),
    Code(code=PROTECTED_NAME, label="The display name is a protected one used with a wrong domain.", signal=SIGNAL),
    Code(code=REPLY_TO, label="Answers go to another domain; counts only beside another finding.", signal=SIGNAL),
)

# Names worth borrowing: the second signal of CLAUSES 3.5.1 is that answers go elsewhere.
_BORROWED = frozenset({OTHER_TENANT, OTHER_ACCOUNT, LOOKALIKE, PROTECTED_NAME})
# SRS (forwarding) wraps somebody else's address; the domain behind it is the forwarder's.
_REWRITTEN = re.compile(r"(?i)srs[01][=+-]")


def judge(facts: Facts, guard: Guard, reserved: Collection[str] = ()) -> Verdict:
    """Say which names the mail has no right to; each code at most once.

    Args:
        reserved: canonical domains that only those may write from who have them.
    """
    findings: dict[str, Finding] = {}
    if facts.tenant is not None:
        fields = (
            ("header.from", facts.authors),
            ("header.sender", facts.senders),
            ("header.resent-from", facts.resenders),
        )
        for where, boxes in fields:
            for box in boxes:
                _judge_domain(facts, reserved, box.domain, where, findings)
        _judge_envelope(facts, findings)
        if facts.strangers:
            why = (("accounts", str(len(facts.strangers))),)
            _add(findings, OTHER_ACCOUNT, 0.5, "header.from", *why)
    for box in facts.authors:
        _judge_looks(facts, box, guard, findings)
    if facts.tenant is not None and not _BORROWED.isdisjoint(findings):
        _judge_replies(facts, findings)
    found = tuple(findings.values())
    return Verdict(check=NAME, version=VERSION, outcome=Outcome.FOUND if found else Outcome.CLEAN, findings=found)


def make(
    owner_of: OwnerOf,
    fail_mode: FailMode = FailMode.ACCEPT,
    deadline_s: float = 5,
    *,
    protected: Protected | None = None,
    reserved: tuple[str, ...] = (),
    ours: Protected | None = None,
    delegated: Mapping[str, tuple[str, ...]] | None = None,
    is_declared: Callable[[Context], bool] | None = None,
    account_of: AccountOf | None = None,
    may_send_as: MaySendAs | None = None,
) -> Check:
    """Make the check.

    Args:
        owner_of: which tenant a domain belongs to.
        protected: domains and names to look for imitations of; None: no other than the tenants' domains.
        reserved: domains that no tenant but their own writes from, nor from below them, exact as they are.
        ours: the provider's own, in which nobody else's mail comes in (TX-7.1). Customers are called what they are
            called: of their own mail these are not asked.
        delegated: further domains a tenant may send from, by one of its own domains; `*`: every tenant.
        is_declared: whether the tenant's domains are known to be all; None: never, and `foreign` is never found.
        account_of: whose a canonical login or alias is; None: `other_account` is never found.
        may_send_as: whether an account may write from another one's address; None: nobody may.

    Raises:
        ConfigError: a domain of `protected`, `reserved` or `delegated` is none.
    """
    said = _canonical(protected or Protected())
    own = _canonical(ours or Protected())
    guard, kept = Guard(said), frozenset(_domains(reserved, "reserved_domains"))
    at_the_door = Guard(Protected(domains=(*said.domains, *own.domains), names=(*own.names, *said.names)))
    lent = {_domain(own, "delegated"): _domains(names, "delegated") for own, names in (delegated or {}).items()}
    look_up = LookUp(owner_of, account_of, lent, is_declared or (lambda _: False), may_send_as)
    psl.load()

    async def run(context: Context) -> Verdict:
        facts = await look_up.facts(context)
        return judge(facts, guard, kept) if facts.tenant is not None else judge(facts, at_the_door)

    return Check(name=NAME, version=VERSION, codes=CODES, run=run, deadline_s=deadline_s, fail_mode=fail_mode)


def _canonical(said: Protected) -> Protected:
    names = tuple((name, _domains(places, "protected_name")) for name, places in said.names)
    return Protected(domains=_domains(said.domains, "protected_domains"), names=names)


def _domains(texts: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(_domain(text, key) for text in texts)


def _domain(text: str, key: str) -> str:
    """Give a configured domain as mail has it; words with a meaning of their own stay."""
    if text in (OWN, EVERY):
        return text
    try:
        return canonical_domain(text)
    except PeerError as err:
        raise ConfigError(f"{text!r}: {err}", key=f"sender.{key}") from err


def _add(findings: dict[str, Finding], code: str, confidence: float, where: str, *why: tuple[str, str]) -> None:
    findings.setdefault(code, Finding(code=code, confidence=confidence, where=where, why=why, signal=SIGNAL))


def _judge_domain(
    facts: Facts, reserved: Collection[str], domain: str | None, where: str, findings: dict[str, Finding]
) -> None:
    """Judge a domain that an account of ours writes as its own."""
    owner = facts.owners.get(domain) if domain is not None else None
    is_own = owner == facts.tenant if owner is not None else domain is not None and is_within(domain, facts.own)
    if is_own:
        return
    if owner is not None:
        _add(findings, OTHER_TENANT, 1.0, where, ("domain", domain or ""))
    elif domain is not None and is_within(domain, reserved):
        _add(findings, RESERVED, 1.0, where, ("domain", domain))
    elif facts.is_declared:
        _add(findings, FOREIGN, 1.0, where, ("domain", domain or "unreadable"))


def _judge_envelope(facts: Facts, findings: dict[str, Finding]) -> None:
    path = facts.reverse_path
    if path is None or not path.domain or _REWRITTEN.match(path.local_part):
        return
    owner = facts.owners.get(path.domain)
    is_other = owner is not None and owner != facts.tenant
    if is_other or (facts.is_declared and owner is None and not is_within(path.domain, facts.own)):
        whose = "other_tenant" if is_other else "nobody"
        _add(findings, ENVELOPE, 0.9, "envelope.from", ("domain", path.domain), ("owner", whose))


def _judge_looks(facts: Facts, box: Mailbox, guard: Guard, findings: dict[str, Finding]) -> None:
    if box.domain is not None and box.domain not in facts.owners and not is_within(box.domain, facts.own):
        twin = guard.imitated(box.domain) or facts.imitated.get(box.domain)
        if twin is not None:
            _add(findings, LOOKALIKE, 0.9, "header.from", ("domain", box.domain), ("like", twin))
    if guard.misuses_name(box.name, box.domain, facts.own):
        _add(findings, PROTECTED_NAME, 0.8, "header.from", ("domain", box.domain or "unreadable"))


def _judge_replies(facts: Facts, findings: dict[str, Finding]) -> None:
    """Judge where answers go, when the From is a name that answers were not to leave."""
    registrable = psl.load().registrable
    authors = {registrable(box.domain) for box in facts.authors if box.domain is not None}
    for box in facts.replies:
        if box.domain is None or is_within(box.domain, facts.own):
            continue
        if registrable(box.domain) not in authors:
            _add(findings, REPLY_TO, 0.3, "header.reply-to", ("domain", box.domain))
