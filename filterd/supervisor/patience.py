"""How long the supervisor waits for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds, unless said otherwise.

    Args:
        ready: from birth to listening.
        beat, silent: how often a child shows that its event loop turns, and after how long without it is killed.
        first_pause, longest_pause: before what died is started again; doubled each time. Whoever lives longer than
            the longest pause has not failed.
        loud_after: how many failures in a row are called an alarm.
        stop: from SIGTERM to SIGKILL; longer than a drain, so that no mail is cut off.
        reload: for one child to read everything and say so.
    """

    ready: float = 60.0
    beat: float = 5.0
    silent: float = 30.0
    first_pause: float = 0.2
    longest_pause: float = 10.0
    loud_after: int = 10
    stop: float = 70.0
    reload: float = 60.0
