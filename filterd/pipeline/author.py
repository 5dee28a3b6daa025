"""Who answers for a mail, with everything that person's standing depends on.  RFC 5598, HOUSE §4 step 0.

Asked of the ledger; while that is away, its last word counts (HOUSE §5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from filterd.agreement.adopted import as_adopted
from filterd.agreement.standing import standing_at
from filterd.agreement.supplement import effective_terms
from filterd.agreement.terms import Agreement
from filterd.errors import LedgerUnavailable
from filterd.model.entry import SITE
from filterd.model.principal import NOBODY, Basis, Principal, Strength
from filterd.model.standing import ALONE, History, Standing, Surroundings
from filterd.pipeline.attribution import Claim
from filterd.ports import AccountRef, Clock, Ledger

_STRENGTH = {
    Basis.SASL: Strength.STRONG,
    Basis.XCLIENT: Strength.STRONG,
    Basis.RECEIVED: Strength.STRONG,
    Basis.HEADER: Strength.STRONG,
    Basis.CLIENT_NET: Strength.MEDIUM,
    Basis.SENDER: Strength.MEDIUM,
    Basis.NONE: Strength.NONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An account as the ledger knows it. `is_last_word`: as it knew it before it went away."""

    account: AccountRef
    history: History
    around: Surroundings
    terms: Agreement
    is_last_word: bool = False

    def standing(self, at: datetime) -> Standing:
        return standing_at(self.history, self.terms, at, self.around)

    def features_off(self, at: datetime) -> frozenset[str]:
        """Say the names of what it may not use."""
        if not self.history.sanctions and not self.history.holds and self.around is ALONE:
            # Nearly everybody.
            return frozenset()
        return frozenset(f.name for f in self.standing(at).features)

    def is_good(self, at: datetime) -> bool:
        """Say whether nothing counts against it: its clean mail may pass while nobody can be asked."""
        now = self.standing(at)
        return not (now.sanctions or now.holds or now.strikes or now.features)


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who answers for a mail, as far as the directory knows. `is_unknown`: a login was named that is nobody's."""

    principal: Principal
    known: Known | None = None
    is_unknown: bool = False

    @property
    def account(self) -> AccountRef | None:
        return self.known.account if self.known is not None else None

    @property
    def domains(self) -> tuple[str, ...]:
        return self.known.account.tenant_domains if self.known is not None else ()


class Authors:
    """Finds them. Raises LedgerUnavailable where neither the ledger nor its last word says anything."""

    def __init__(self, ledger: Ledger, clock: Clock, terms: Mapping[str, Agreement]):
        self._ledger, self._clock, self._terms = ledger, clock, terms

    async def of(self, claim: Claim | None) -> Author:
        """Find or create the account of a claim; nobody when there is no claim, or no room for new accounts."""
        if claim is None or claim.login is None:
            return Author(principal=NOBODY)
        # Whoever can write a sender address must not make accounts with it.
        known = await self.look_up(claim.login, may_create=claim.basis is not Basis.SENDER)
        if known is None:
            if claim.basis is Basis.SENDER:
                return Author(principal=NOBODY)
            return Author(principal=Principal(basis=claim.basis), is_unknown=True)
        return Author(
            principal=Principal(
                account_id=known.account.account_id,
                tenant_id=known.account.tenant_id,
                basis=claim.basis,
                strength=_STRENGTH[claim.basis],
                agreement=known.terms.id,
            ),
            known=known,
        )

    async def look_up(self, login: str, *, may_create: bool) -> Known | None:
        """Say what is known of a canonical login, None when there is no such account."""
        try:
            account = await self._ledger.account_for(login, may_create=may_create)
            if account is None:
                return None
            history = await self._ledger.history(account.account_id)
            tenant = await self._ledger.history(account.tenant_id)
            site = await self._ledger.history(SITE)
            is_last_word = False
        except LedgerUnavailable:
            word = self._ledger.last_word(login)
            if word is None:
                raise
            (account, history), is_last_word = word, True
            # What nobody has heard of a tenant is no reason to stop its mail.
            tenant = self._ledger.last_history(account.tenant_id) or History(account_id=account.tenant_id)
            site = self._ledger.last_history(SITE) or History(account_id=SITE)
        now = self._clock.now()
        return Known(
            account=account,
            history=history,
            around=surroundings_of(account, tenant, site),
            terms=as_adopted(effective_terms(self._terms, account.agreement, account.supplement, now), site, now),
            is_last_word=is_last_word,
        )


def surroundings_of(account: AccountRef, tenant: History, site: History) -> Surroundings:
    """Put together what an account's standing depends on besides its own record."""
    if tenant.further or site.further or account.expires_on or account.tenant_expires_on:
        return Surroundings(
            tenant=tenant,
            site=site,
            tenant_expires_on=account.tenant_expires_on,
            expires_on=account.expires_on,
            seats=account.seats,
            plan=account.plan,
        )
    # Nothing of it says anything: standing is quicker to compute.
    return ALONE
