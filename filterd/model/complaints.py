"""Are the complaints about an account's mail, or the bounces of a stream, beyond the bound?  STANDING 5.11, CLAUSES
tail-a, §2.2."""

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
        """The lower end of the Wilson interval of complainants in delivered."""
        return lower_bound(self.complainants, self.delivered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounced:
    """How much of a declared stream's mail came back because there is no such address.

    Args:
        bounced: different addresses that reports name; and of recipients refused at once, those of each mail.
        tried: recipients that were written to, those refused at once among them.
        least_tried, least_bounced, percent: as of Complained.
    """

    bounced: int
    tried: int
    least_tried: int
    least_bounced: int
    percent: float

    @property
    def is_above(self) -> bool:
        """Whether the lower 95 % Wilson bound of the share lies above the one allowed."""
        if self.tried < self.least_tried or self.bounced < self.least_bounced:
            return False
        return 100 * lower_bound(self.bounced, self.tried) > self.percent


def lower_bound(part: int, whole: int) -> float:
    """Say the lower end of the 95 % Wilson interval of a part in a whole, 0 to 1; 0 where there is no whole."""
    if whole <= 0:
        return 0.0
    number = float(whole)
    share = min(1.0, part / number)
    middle = share + _Z**2 / (2 * number)
    spread = _Z * sqrt(share * (1 - share) / number + _Z**2 / (4 * number**2))
    return max(0.0, (middle - spread) / (1 + _Z**2 / number))
