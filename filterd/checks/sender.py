"""Does the From field use another customer's name?  TX-3.5.1, TX-2.2.1; CLAUSES `impersonation.exact`.

Compares the domain of each From address with the directory. A domain nobody of ours owns is no finding here: forged
mail from outside strikes nobody, and look-alikes are another check's matter.
Finds: sender.from.other_tenant. Temporary: the directory cannot be asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from filterd.checks.spec import Check, Code, Context, skipped
from filterd.errors import PeerError
from filterd.mail.address import canonical_domain
from filterd.mail.author import from_domains
from filterd.model.session import Direction
from filterd.model.verdict import FailMode, Finding, Outcome, Verdict

NAME, VERSION = "sender", "1"
CODES = (
    Code(
        code="sender.from.other_tenant",
        label="The From domain belongs to another tenant of this service.",
        signal="identity",
    ),
)
# A From field with more addresses than this is judged by the first ones; nobody writes such a field by hand.
MAX_DOMAINS = 8

OwnerOf = Callable[[str], Awaitable[str | None]]


def judge(own_tenant: str, owners: tuple[tuple[str, str | None], ...]) -> Verdict:
    """Say whether any From domain is another tenant's.

    Args:
        owners: (domain, tenant id or None) for each From domain.
    """
    foreign = [domain for domain, owner in owners if owner is not None and owner != own_tenant]
    findings = tuple(
        Finding(code=CODES[0].code, confidence=1.0, where="header.from", signal="identity") for _ in foreign[:1]
    )
    return Verdict(check=NAME, version=VERSION, outcome=Outcome.FOUND if findings else Outcome.CLEAN, findings=findings)


def make(owner_of: OwnerOf, fail_mode: FailMode = FailMode.ACCEPT, deadline_s: float = 5) -> Check:
    """Make the check. `owner_of` says which tenant a domain belongs to."""

    async def run(context: Context) -> Verdict:
        tenant = context.principal.tenant_id
        if tenant is None or context.direction is Direction.INBOUND:
            return skipped(NAME, VERSION, "unattributed")
        owners = []
        for text in from_domains(context.message)[:MAX_DOMAINS]:
            try:
                domain = canonical_domain(text)
            except PeerError:
                continue
            owners.append((domain, await owner_of(domain)))
        return judge(tenant, tuple(owners))

    return Check(name=NAME, version=VERSION, codes=CODES, run=run, deadline_s=deadline_s, fail_mode=fail_mode)
