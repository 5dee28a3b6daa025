"""DMARC: does the author domain vouch for this mail?  RFC 9989; RFC 7489 as an option; FAULTS 35.

Needs the verdicts of spf and dkim: an identifier counts when its result is `pass` and it aligns with the author domain.
Of SPF only the reverse-path counts (HELO for the null sender, never beside a reverse-path), of DKIM every signature.
A mail without one author that all readers agree on is ambiguous: it never passes, and the domains it might be from are
all judged: when some fail, it fails by the strictest policy among them (RFC 7489 §6.6.1). Nobody escapes a policy by
writing two names.
Finds: auth.dmarc.fail, with the policy the domain owner asks for; auth.dmarc.ambiguous; dns.budget.spent.
Temporary: DNS is silent about the policy; or an identifier that would align could not be checked. One that would not
align changes nothing, so that nobody escapes a policy by a dead DNS of his own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from filterd.checks.budget import SPENT, spent
from filterd.checks.dmarc_policy import Policies, Policy
from filterd.checks.dmarc_record import Request
from filterd.checks.psl import load
from filterd.checks.spec import Check, Code, Context, Prompt, skipped
from filterd.errors import DnsBudgetSpent, PeerError, PortError
from filterd.mail.author import Author, author
from filterd.mail.names import canonical_domain
from filterd.model.session import Direction
from filterd.model.verdict import AuthResult, FailMode, Finding, Outcome, Verdict

NAME, VERSION = "dmarc", "3"
CODES = (
    Code(code="auth.dmarc.fail", label="The domain in From does not vouch for this mail."),
    Code(code="auth.dmarc.ambiguous", label="The mail has no single author address that all programs agree on."),
    SPENT,
)
FAIL, AMBIGUOUS = CODES[0].code, CODES[1].code
NEEDS = ("spf", "dkim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A domain that SPF or DKIM has looked at: `result` in the words of RFC 8601, `domain` in A-labels."""

    method: str
    result: str
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What there is to say once DNS was asked.

    Args:
        policy: None where DMARC does not apply.
        aligned: the first identifier that passes and aligns, or None.
        is_open: one that could not be checked would align.
        exists: whether DNS knows the author domain; looked at only where it matters.
    """

    domain: str
    policy: Policy | None = None
    aligned: Identifier | None = None
    is_open: bool = False
    exists: bool = True


def judge(seen: Evaluation) -> Verdict:
    """Say whether the author domain vouches for the mail, and what its owner wants where it does not."""
    policy = seen.policy
    if policy is None or not policy.record.is_usable:
        return _verdict(Outcome.CLEAN, "none", seen.domain, "no policy" if policy is None else "policy not understood")
    requested = policy.requested(exists=seen.exists)
    disposition = requested.tested if policy.record.is_test else requested
    comment = f"p={requested}" + (" t=y" if policy.record.is_test else "")
    if policy.is_inherited:
        comment += f" from {policy.domain}"
    if seen.aligned is not None:
        return _verdict(Outcome.CLEAN, "pass", seen.domain, f"{comment} by {seen.aligned.method}", disposition)
    if seen.is_open:
        return _verdict(Outcome.TEMPERROR, "temperror", seen.domain, comment, disposition, reason="identifier")
    why = (
        ("domain", seen.domain),
        ("policy", requested.value),
        ("disposition", disposition.value),
        ("policy_domain", policy.domain),
    )
    finding = Finding(code=FAIL, confidence=1.0, where="header.from", why=why)
    comment += f" dis={disposition}"
    return _verdict(Outcome.FOUND, "fail", seen.domain, comment, disposition, findings=(finding,))


def ambiguous(who: Author, claimed: Sequence[Verdict] = ()) -> Verdict:
    """The verdict of a mail without a single author.

    Args:
        claimed: the verdicts of the domains it might be from, each as if it were the author's.
    """
    problem = who.problem or "syntax"
    finding = Finding(code=AMBIGUOUS, confidence=1.0, where="header.from", why=(("problem", problem),))
    comment = f"author ambiguous {problem}"
    failed = [verdict for verdict in claimed if verdict.results and verdict.results[0].result == "fail"]
    if failed:
        worst = max(failed, key=_strictness)
        said = worst.results[0]
        results = (replace(said, comment=f"{comment} {said.comment}"),)
        return replace(worst, findings=(*worst.findings, finding), results=results)
    silent = next((verdict for verdict in claimed if verdict.outcome is Outcome.TEMPERROR), None)
    if silent is not None:
        return replace(silent, findings=(*silent.findings, finding))
    return _verdict(Outcome.FOUND, "permerror", None, comment, findings=(finding,))


def _strictness(failed: Verdict) -> tuple[int, int]:
    """Order failures by what is to be done, then by what would be without a test."""
    why = dict(failed.findings[0].why)
    order = list(Request)
    return order.index(Request(why["disposition"])), order.index(Request(why["policy"]))


def make(
    *,
    rfc7489: bool = False,
    fail_mode: FailMode = FailMode.ACCEPT,
    deadline_s: float = 6,
) -> Check:
    """Make the check.

    Args:
        rfc7489: find organisations by the Public Suffix List and read records as RFC 7489 did, not by RFC 9989.
        deadline_s: a little more than the resolver gives a message.
    """
    suffixes = load() if rfc7489 else None

    def at_once(context: Context) -> Verdict | None:
        is_inbound = context.direction is Direction.INBOUND
        return None if is_inbound else skipped(NAME, VERSION, context.direction.value)

    async def later(context: Context) -> Verdict:
        if context.dns is None:
            return skipped(NAME, VERSION, "no_resolver")
        who = author(context.message)
        seen = read_identifiers(tuple(context.verdict(name) for name in NEEDS))
        policies = Policies(context.dns, suffixes)
        if who.domain is not None:
            return await _of_domain(policies, who.domain, *seen)
        # The shallow ones first: they cost the fewest questions, should there be too many.
        claimed = sorted(who.claimed, key=lambda domain: domain.count("."))
        return ambiguous(who, [await _of_domain(policies, domain, *seen) for domain in claimed])

    run = Prompt(at_once, later)
    return Check(
        name=NAME, version=VERSION, codes=CODES, run=run, needs=NEEDS, deadline_s=deadline_s, fail_mode=fail_mode
    )


async def _of_domain(
    policies: Policies, domain: str, identifiers: tuple[Identifier, ...], unheard: str | None
) -> Verdict:
    """Say whether an author domain vouches for the mail."""
    try:
        seen = await evaluate(policies, domain, identifiers)
    except PortError as err:
        reason = "dns_budget" if isinstance(err, DnsBudgetSpent) else "dns"
        found = (spent("header.from"),) if isinstance(err, DnsBudgetSpent) else ()
        return _verdict(Outcome.TEMPERROR, "temperror", domain, reason, findings=found, reason=reason)
    if seen.policy is not None and seen.policy.record.is_usable and seen.aligned is None and unheard:
        return _unheard(domain, unheard)
    return judge(seen)


async def evaluate(policies: Policies, domain: str, identifiers: tuple[Identifier, ...]) -> Evaluation:
    """Ask DNS what the judgement needs, and no more. Raises PortError."""
    policy = await policies.policy(domain)
    if policy is None or not policy.record.is_usable:
        return Evaluation(domain=domain, policy=policy)
    passed = [i for i in identifiers if i.result == "pass"]
    silent: PortError | None = None
    # Identical ones first: they need no question.
    for identifier in sorted(passed, key=lambda i: i.domain != domain):
        try:
            if await _is_aligned(policies, policy, domain, identifier):
                return Evaluation(domain=domain, policy=policy, aligned=identifier)
        except PortError as err:
            silent = err
    if silent is not None:
        raise silent
    for identifier in identifiers:
        if identifier.result == "temperror" and await _is_aligned(policies, policy, domain, identifier):
            return Evaluation(domain=domain, policy=policy, is_open=True)
    matters = policy.is_inherited and policy.record.np is not None
    return Evaluation(domain=domain, policy=policy, exists=await policies.exists(domain) if matters else True)


async def _is_aligned(policies: Policies, policy: Policy, domain: str, identifier: Identifier) -> bool:
    if identifier.domain == domain:
        return True
    is_strict = policy.record.is_strict_spf if identifier.method == "spf" else policy.record.is_strict_dkim
    if is_strict:
        return False
    organisation = await policies.organisation(domain)
    # What does not stand below the organisation's domain cannot belong to it: strangers' domains cost no question.
    if identifier.domain != organisation and not identifier.domain.endswith(f".{organisation}"):
        return False
    return await policies.organisation(identifier.domain) == organisation


def read_identifiers(verdicts: tuple[Verdict | None, ...]) -> tuple[tuple[Identifier, ...], str | None]:
    """Take the identifiers out of the verdicts of spf and dkim, in this order.

    Returns:
        The identifiers, and which check has said nothing at all though it might have (`spf.no_client_address`,
        `dkim.deadline`); None when both have spoken.
    """
    found: list[Identifier] = []
    unheard = None
    for name, verdict in zip(NEEDS, verdicts, strict=True):
        if verdict is None or not verdict.results:
            unheard = unheard or f"{name}.{(verdict.reason if verdict else None) or 'missing'}"
            continue
        results = [result for result in verdict.results if result.method == name]
        wanted = "header.d" if name == "dkim" else _spf_property(results)
        for result in results:
            for prop, value in result.properties:
                if prop == wanted and (domain := _domain(value)):
                    found.append(Identifier(method=name, result=result.result, domain=domain))
                    break
    return tuple(found), unheard


def _spf_property(results: list[AuthResult]) -> str:
    # A HELO that passes must not be lent to the reverse-path (CVE-2019-20790). For the null sender, whose identity HELO
    # is (RFC 7208 §2.4), the check gives it as its first and only result.
    is_null = bool(results) and [prop for prop, _ in results[0].properties] == ["smtp.helo"]
    return "smtp.helo" if is_null and len(results) == 1 else "smtp.mailfrom"


def _domain(text: str) -> str | None:
    try:
        return canonical_domain(text.rpartition("@")[2])
    except PeerError:
        return None


def _unheard(domain: str, reason: str) -> Verdict:
    """Without one of the two, mail that does not pass has not failed either (RFC 9989 §5.3.5)."""
    is_skip = reason.startswith("spf.no_")
    if is_skip:
        return skipped(NAME, VERSION, reason.replace(".", "_"))
    return _verdict(Outcome.TEMPERROR, "temperror", domain, "identifier", reason="identifier")


def _verdict(
    outcome: Outcome,
    result: str,
    domain: str | None,
    comment: str,
    disposition: Request | None = None,
    *,
    findings: tuple[Finding, ...] = (),
    reason: str | None = None,
) -> Verdict:
    properties: tuple[tuple[str, str], ...] = (("header.from", domain),) if domain else ()
    if disposition is not None:
        # RFC 9989 §9.1 registers it: the policy once sp, np and t have had their say.
        properties += (("policy.dmarc", disposition.value),)
    return Verdict(
        check=NAME,
        version=VERSION,
        outcome=outcome,
        findings=findings,
        reason=reason,
        results=(AuthResult(method=NAME, result=result, properties=properties, comment=comment),),
    )
