"""The tables of an agreement file that time goes by: `[lifecycle]` and `holidays`.  CLAUSES §6, STANDING 5.11.

Both are optional. Without `[lifecycle]` an agreement has no clocks of service: nobody's term ends, whatever the
directory says.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from filterd.agreement.calendar import Calendar
from filterd.agreement.sections import Hours, Section

Days = Annotated[int, Field(ge=1, le=3660)]


class HolidaysSection(Section):
    """`holidays`: a list of days, or a table with `days`, `working` (weekends that are worked) and `weekends_count`."""

    days: frozenset[date] = frozenset()
    working: frozenset[date] = frozenset()
    weekends_count: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_list(cls, given: Any) -> Any:
        return {"days": given} if isinstance(given, (list, tuple)) else given

    @field_validator("days", "working", mode="before")
    @classmethod
    def _days(cls, given: Any) -> Any:
        return [date.fromisoformat(item) if isinstance(item, str) else item for item in given]

    @model_validator(mode="after")
    def _apart(self) -> HolidaysSection:
        if both := sorted(self.days & self.working):
            raise ValueError(f"{both[0]} is a holiday and a working day")
        return self

    def calendar(self, zone: str) -> Calendar:
        """Make the calendar of a zone."""
        return Calendar(
            zone=zone, holidays=self.days, working=self.working, is_weekend_holiday=self.weekends_count
        )


class LifecycleSection(Section):
    """`[lifecycle]`: the clocks of service and of the desk. Days are natural days, None means there is no such clock.

    Args:
        at_expiry: what a term that was not renewed is called afterwards: "stopped" (AL-2.2) or "ended" (TX-4.4.2).
        renewal_notice_days: how long before the last day the renewal is asked for.
        owes_renewal_notice: the agreement promises that notice: without a provable one data is kept
            `keep_after_notice_days` from a provable one, if that is later.
        keep_days: how long data is kept after the service stopped or ended.
        termination_keep_days: the same after a termination for breach, and until appeals close.
        inbound_wait_days: how long mail to an address without service waits before it is refused.
        free_plans: what the directory calls plans that nobody pays for (TX-4.4.4): for them the MX clock runs.
        mx_bad_days: full bad days after which a free service ends with the next bad one.
        maintenance_is_announced: a window must have been announced before it begins (AL-6.3).
        reading_hours: at least so long between the two readings before anything is deleted.
        hold_copies: of one campaign so many are held; others wait until a person has decided about these, or for
            `hold_decision_hours`, and are refused then (STANDING 5.7-23).
        locked_hit_days: how long a hit of a locked list is kept that nobody opened (CLAUSES §1); more than 30 counts as
            30.
        locked_hold_hours: what a locked list holds for a person goes on after these (CLAUSES §1).
    """

    at_expiry: Literal["stopped", "ended"]
    renewal_notice_days: Days | None = None
    owes_renewal_notice: bool = False
    keep_days: Days
    keep_after_notice_days: Days | None = None
    termination_keep_days: Annotated[int, Field(ge=30, le=3660)]
    inbound_wait_days: Days
    reading_hours: Annotated[int, Field(ge=24, le=24 * 366)]
    free_plans: tuple[str, ...] = ()
    mx_bad_days: Days | None = None
    mx_unknown_days: Days | None = None
    law_change_days: Days | None = None
    shutdown_notice_days: Annotated[int, Field(ge=30, le=3660)]
    maintenance_is_announced: bool = False
    complaint_hours: Hours
    question_hours: Hours | None = None
    hold_decision_hours: Hours
    outbound_hold_hours: Hours
    inbound_hold_days: Days
    inbound_digest_days: Days
    hold_copies: Annotated[int, Field(ge=1, le=1000)] = 25
    locked_hold_hours: Annotated[int, Field(ge=1, le=4)] = 4
    cure_answer_days: Days
    cooling_off_days: Days
    relook_days: Days
    appeal_days: Days
    appeal_warning_days: Days
    locked_hit_days: Days
    registration_years: Annotated[int, Field(ge=1, le=10)]

    @model_validator(mode="after")
    def _whole(self) -> LifecycleSection:
        if self.owes_renewal_notice and not (self.renewal_notice_days and self.keep_after_notice_days):
            raise ValueError("who owes a renewal notice says renewal_notice_days and keep_after_notice_days")
        if self.free_plans and self.mx_bad_days is None:
            raise ValueError("free_plans need mx_bad_days")
        if self.inbound_digest_days >= self.inbound_hold_days:
            raise ValueError("inbound_digest_days lie within inbound_hold_days")
        return self
