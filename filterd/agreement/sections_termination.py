"""The tables of an agreement file about its end for one account, and about mending a breach.  STANDING 5.4, AL-7.1.

Both are optional. Without `[termination]` nobody is terminated under the agreement; without `[cure]` nothing is cured.
How many days either takes stands in `[lifecycle]`, with the other clocks.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from filterd.agreement.sections import Section


class TerminationSection(Section):
    """`[termination]`: an account's service ends for breach.

    Args:
        grounds: what it may stand on: "clause" and "supplement" are the file's own clauses, "statute" a named law.
        channels: on so many channels a notice of it was accepted before it takes effect (STANDING 5.4 row 4).
        clauses: those that allow it; empty: `sanction_ground` does.
        order_after_days: by standing order, once an open-ended suspension has run so long; None: never by order.
    """

    grounds: tuple[Literal["clause", "supplement", "statute"], ...] = Field(min_length=1)
    channels: Annotated[int, Field(ge=1, le=4)]
    clauses: tuple[str, ...] = ()
    order_after_days: Annotated[int, Field(ge=7, le=366)] | None = None


class CureSection(Section):
    """`[cure]`: who says a breach was mended gets an answer in `lifecycle.cure_answer_days`, or is believed (AL-7.1).

    `clause`: the one that says so.
    """

    clause: str
