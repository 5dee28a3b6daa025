"""Named places on the mail path where a fault test can kill this process (FAULTS §3, row 1).

`reach(name)` does nothing at all, unless the environment variable FILTERD_KILL_AT is `name` or `name:n`: then the n-th
time (default: the first) that place is reached, the process kills itself with SIGKILL: no clean-up, no flush, as in a
power cut. The variable is read once, when this module is imported. Never set it outside a test.
"""

from __future__ import annotations

import os
import signal

# In the order in which one message passes them.
MARKERS: tuple[tuple[str, str], ...] = (
    ("smtp.after_dot", "the door has read the end of the message, nothing else has happened"),
    ("smtp.enforced", "the pipeline has answered and its durable work is done; nothing is relayed yet"),
    ("smtp.relaying", "the next hop has been sent the message, but not the dot"),
    ("smtp.relayed", "the next hop has answered the dot; our client has not been answered"),
    ("smtp.replied", "our answer has been handed to the kernel"),
)


class _Trap:
    """The one armed place of this process, or none."""

    def __init__(self, setting: str | None) -> None:
        name, _, times = (setting or "").partition(":")
        self.name = name or None
        # A slip in the number raises here, at import: a test that never kills must not look like one that passed.
        self.left = int(times) if times else 1

    def reach(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


# Called from hot paths: a bound method that compares one string.
reach = _Trap(os.environ.get("FILTERD_KILL_AT")).reach
