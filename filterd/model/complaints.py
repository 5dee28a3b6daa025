"""How many people complained of how much mail, and is that beyond the bound?  STANDING 5.11, CLAUSES tail-a."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

# Of the normal distribution: 95 %, both sides.
_Z = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Complained:
    """What is known of one sender, or of one stream of it, over the days that its agreement counts.

    Args:
        complainants: distinct ones, as agreement/complaints counts them.
        delivered: recipients that were written to.
        least_delivered, least_complainants, percent: below either number, or this share, nothing is said.
    """

    complainants: int
    delivered: int
    least_delivered: int
    least_complainants: int
    percent: float

    @property
    def is_above(self) -> bool:
        """Whether the lower 95 % Wilson bound of the share lies above the one allowed."""
        if self.delivered < self.least_delivered or self.complainants < self.least_complainants:
            return False
        return 100 * self.lower_bound > self.percent

    @property
    def lower_bound(self) -> float:
        """The lower end of the Wilson interval of complainants in delivered, 0 to 1; 0 where nothing was delivered."""
        if self.delivered <= 0:
            return 0.0
        number = float(self.delivered)
        share = min(1.0, self.complainants / number)
        middle = share + _Z**2 / (2 * number)
        spread = _Z * sqrt(share * (1 - share) / number + _Z**2 / (4 * number**2))
        return max(0.0, (middle - spread) / (1 + _Z**2 / number))
