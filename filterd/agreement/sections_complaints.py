"""The table of an agreement file about complaints: from how many on they speak, and until when one is answered.

STANDING 5.7-13, 5.11, CLAUSES tail-a, TX-4.1.3.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from filterd.agreement.sections import Hours, Section


class ComplaintsSection(Section):
    """`[complaints]`: the bound, and the clock of a case.

    Args:
        days: complaints, and the mail they are compared with, count so long.
        delivered, complainants: below either nothing follows from a share.
        percent: nothing follows below it, by the lower 95 % Wilson bound of complainants in recipients.
        answer_hours: a case is closed within these. One about trouble with mail has those of
            `lifecycle.complaint_hours` where the agreement promises any.
    """

    days: Annotated[int, Field(ge=1, le=30)] = 30
    delivered: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    complainants: Annotated[int, Field(ge=2, le=1_000_000)] = 5
    percent: Annotated[float, Field(gt=0, le=100)] = 0.1
    answer_hours: Hours = 24
