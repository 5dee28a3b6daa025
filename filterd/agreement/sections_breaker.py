"""The `[breaker]` table of an agreement file: when automation stops by itself.  STANDING 5.7-21, 5.11.

Optional, and so is every key. Breakers count over the whole site, so the numbers that count are those of the default
agreement.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from filterd.agreement.sections import Hours, Section

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Days = Annotated[int, Field(ge=1, le=366)]


class BreakerSection(Section):
    """`[breaker]`: a rule or signal that would sanction too many at once.

    Args:
        window_hours: counted over so many hours.
        subjects: never with so few accounts, or fewer; the trip takes more.
        share_percent: and more than this share of the accounts that sent within `senders_days`;
        mean_factor: or more than so many times the mean of such a window over `mean_days`.
        young_days: up to this age a rule or signal trips at half of share and mean.
        freeze_max_hours: a person stops automation for so long at most, before somebody says it again.
    """

    window_hours: Hours = 1
    subjects: Count = 10
    share_percent: Annotated[float, Field(gt=0, le=100)] = 1.0
    senders_days: Days = 30
    mean_factor: Annotated[float, Field(gt=0, le=1000)] = 5.0
    mean_days: Days = 7
    young_days: Days = 7
    freeze_max_hours: Annotated[int, Field(ge=1, le=24)] = 24
