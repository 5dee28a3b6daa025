"""The `[security]` table of an agreement file: holds, watch, attestation, custody.  STANDING 5.7-14, 5.11.

Optional, and so is every key: what is left out is as STANDING has it. None of it gives points.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from filterd.agreement.category import FindingCode
from filterd.agreement.sections import Hours, Section
from filterd.model.sanction import Feature

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Days = Annotated[int, Field(ge=1, le=3660)]
# A log-in by a script is lawful use (CLAUSES TX-3.4.3, C2), and the sender chooses what tells of it: fields of the mail
# and what the client calls itself. Whatever a file says, it is shown and decides nothing, alone or beside another sign:
# it neither locks nor spares anybody.
AUTOMATED = frozenset({"client.automated", "rate.client.automated"})
Indicator = Annotated[str, Field(pattern=r"^[a-z]+(\.[a-z_]+){1,2}$", max_length=80)]


class SecuritySection(Section):
    """`[security]`: what speaks for a stolen account, and what protects it.

    Args:
        indicators: findings of checks that speak for a stolen account.
        reported: what a log watcher or a person may report besides, by code.
        never_alone: of all these, what says nothing without another one.
        indicator_hours: for how long a reported indicator speaks for the mail that follows it.
        indicator_repeat_minutes: the same one reported again within so many minutes adds nothing.
        quiet_minutes: for so long after a hold ended, a burst that is still in the counters locks nothing anew; the
            watch keeps it low.
        trickle_messages_day: what an account under an unattested hold may send after `[points] provisional_hours`, to
            people who wrote first.
        remind_days: how often an open hold is told of again.
        watch_hours, watch_unverified_hours: how long the low caps after a hold last, the second where the operator's
            identity system has not said that it revoked what there was.
        attestation_days: the term within which attestations of one account are counted.
        attestation_tenant_days: how old a tenant must be for its administrator to attest.
        young_tenant_days: up to which age a tenant's account that sends from the same network since its first day is
            taken for malicious rather than stolen.
        custody_clauses: what makes the tenant answer for an account taken over again (TX-3.6, AL-3.2); empty: nothing
            in this agreement does, and it gets advice instead of points.
        custody_days: how long such points count.
        wrote_first_days: for how long who wrote to the organisation from outside is no stranger to it.
    """

    indicators: tuple[FindingCode, ...] = ()
    reported: tuple[Indicator, ...] = (
        "auth.failures",
        "client.new",
        "client.country",
        "clients.many",
        "client.automated",
    )
    never_alone: tuple[Indicator, ...] = ("client.country",)
    indicator_hours: Hours = 24
    indicator_repeat_minutes: Count = 60
    quiet_minutes: Count = 60
    trickle_messages_day: Count = 20
    remind_days: Days = 7
    watch_hours: Hours = 72
    watch_unverified_hours: Hours = 168
    watch_external_recipients_day: Count = 50
    watch_recipients_message: Count = 10
    attestation_days: Days = 90
    attestation_tenant_days: Days = 30
    young_tenant_days: Days = 30
    custody_clauses: tuple[str, ...] = ()
    custody_days: Days = 90
    wrote_first_days: Annotated[int, Field(ge=1, le=30)] = 30

    @model_validator(mode="after")
    def _known(self) -> SecuritySection:
        known = {*self.indicators, *self.reported}
        for code in self.never_alone:
            if code not in known:
                raise ValueError(f"never_alone names {code!r}, which neither indicators nor reported has")
        if self.watch_unverified_hours < self.watch_hours:
            raise ValueError("watch_unverified_hours is not below watch_hours: who cannot be checked is watched longer")
        return self

    @property
    def codes(self) -> frozenset[str]:
        """Say every indicator there is."""
        return frozenset((*self.indicators, *self.reported))

    def speaks(self, codes: frozenset[str] | tuple[str, ...]) -> bool:
        """Say whether these make an incident one of a stolen account: `new country` alone never does; that a script
        sends adds nothing."""
        observed = frozenset(codes) - AUTOMATED
        return len(observed) > 1 or bool(observed - frozenset(self.never_alone))

    @property
    def trickle(self) -> tuple[Feature, ...]:
        """What an unattested hold leaves after its first days: a few messages, to people who wrote first."""
        return (Feature(name="messages_per_day", limit=self.trickle_messages_day), Feature(name="strangers"))

    @property
    def watch(self) -> tuple[Feature, ...]:
        """The low caps after a hold."""
        return (
            Feature(name="external_recipients_per_day", limit=self.watch_external_recipients_day),
            Feature(name="recipients_per_message", limit=self.watch_recipients_message),
        )
