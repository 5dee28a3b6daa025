"""The tables of an agreement file about what may be answered for beforehand.  CLAUSES §2.2, §2.3, STANDING 5.7-25."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from filterd.agreement.sections import Hours, Section

Days = Annotated[int, Field(ge=1, le=3660)]


class RegistersSection(Section):
    """`[registers]`: absent, the agreement knows no registers and every breach counts.

    Args:
        authorisable: clauses whose acts the provider may allow in writing (TX-3.4 and 3.5 open with that exception,
            3.3.2 does not). A violation is authorised only where all its clauses are.
        authorisation_days: an authorisation lasts no longer.
        streams: categories that a declared stream is not struck for.
        advised_runs: of these, categories whose first undeclared run is advice only; a run is over after
            `incident.window_hours`.
        repair_days: a stream on notice has so long to mend what failed; then it counts as undeclared.
        bounce_percent, opt_out_days: conditions of a declared stream (CLAUSES §2.2).
        advised: categories that refuse mail without points until, after advice, so many more were refused.
        migration_days: a migration window lasts no longer.
        protected_due_hours: a protected sender's page is due after so many hours.
        received_days: what came from outside so lately is passed on, and not made, by who sends it to at most
            `received_recipients` people, and to no more than `received_recipients_day` in a day (STANDING 5.7-12).
    """

    authorisable: tuple[str, ...] = ()
    authorisation_days: Days = 365
    streams: tuple[str, ...] = ()
    advised_runs: tuple[str, ...] = ()
    repair_days: Days = 7
    bounce_percent: Annotated[float, Field(gt=0, le=100)] = 3.0
    opt_out_days: Days = 3
    advised: dict[str, Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=dict)
    migration_days: Days = 30
    protected_due_hours: Hours = 1
    received_days: Days = 30
    received_recipients: Annotated[int, Field(ge=0, le=100)] = 5
    received_recipients_day: Annotated[int, Field(ge=0, le=1000)] = 20
