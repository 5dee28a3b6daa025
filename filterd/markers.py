"""Named places where a fault test can kill this process (FAULTS §3, row 1).

`reach(name)` does nothing at all unless one of two environment variables was set when this module was imported. Then
the process kills itself there with SIGKILL: no clean-up, no flush, as in a power cut. Never set them outside a test.

- FILTERD_KILL_AT is `name` or `name:n`: the n-th time (default: the first) that this process reaches the place.
- FILTERD_KILL_PLAN is a directory whose files are a plan, in the order of their names: `ORDER+NAME`, with `@ROLE` and
  `:N` behind it if need be. The first of them is armed, in every process of that role; N passes are counted over all of
  these together, the last one kills. The file is then called `~ORDER+NAME+PID` and the next one is armed, also for the
  process that is started instead. So one test can kill hundreds of times, and see which place has killed whom and when.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

# In the order in which one message passes them. Those of the relay stand in clients/relay_session.
MARKERS: tuple[tuple[str, str], ...] = (
    ("smtp.mail", "the next hop has taken MAIL; our client has not heard of it"),
    ("smtp.rcpt", "a RCPT has been answered; our client has not heard of it"),
    ("smtp.in_data", "a piece of the message has been read, but not its end"),
    ("smtp.after_dot", "the door has read the end of the message, nothing else has happened"),
    ("gate.judged", "all checks have run; nothing is written"),
    ("spool.written", "the sealed copy of a mail with a violation is on disk; the ledger has not been asked"),
    ("ledger.asked", "the ledger has a verb that may write, and has not begun its transaction"),
    ("vault.staged", "evidence lies beside its place, not synced; the transaction is open"),
    ("vault.settled", "evidence is in its place; the row that names it is not committed"),
    ("ledger.committing", "rows are in the open transaction; the commit comes next"),
    ("ledger.committed", "the store has committed rows; nobody has heard of it"),
    ("ledger.anchored", "a checkpoint has been written"),
    ("ledger.told", "the event stream has the committed rows; whoever asked has no answer"),
    ("link.answering", "the ledger process has a result and has not sent it"),
    ("gate.committed", "the worker has the ledger's decision"),
    ("gate.decided", "decided; the event is not written"),
    ("gate.recorded", "the event `decided` is written"),
    ("smtp.enforced", "the pipeline has answered and its durable work is done; nothing is relayed yet"),
    ("relay.data", "the next hop has said 354; it has nothing of the message"),
    ("smtp.relaying", "the next hop has been sent the message, but not the dot"),
    ("smtp.relayed", "the next hop has answered the dot; our client has not been answered"),
    ("smtp.recorded", "the event `delivered` is written; our client has not been answered"),
    ("smtp.replied", "our answer has been handed to the kernel"),
    ("outbox.leased", "notices are leased; none is sent"),
    ("outbox.sent", "the next hop has answered a notice; the ledger does not know"),
    ("outbox.recorded", "the outcome of a notice is in the ledger"),
    ("counters.flushed", "a part of the counters has been saved"),
)
# What a mail passes besides that is held, and goes on or comes back.
HELD_MARKERS: tuple[tuple[str, str], ...] = (
    ("gate.held", "a mail is in quarantine, and the worker knows; its client has not been answered"),
    ("release.sent", "the next hop has answered a released mail; the ledger does not know"),
    ("return.sent", "the next hop has answered a report with returned mail; the ledger does not know"),
)

_TOKEN = re.compile(r"(?P<order>[^+~]+)\+(?P<name>[a-z._]+)(@(?P<role>[a-z0-9]+))?(:(?P<left>[0-9]+))?")

# Who this process is: "ledger", "w0"; "" is all in one, which has every role.
_role = ""


def become(role: str) -> None:
    """Say which process of the node this is."""
    global _role
    _role = role


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


class _Plan:
    """The places that the files of a directory name, one after the other."""

    def __init__(self, directory: str) -> None:
        # A directory that is not there raises here, for the same reason.
        os.listdir(directory)
        self.directory = directory

    def reach(self, name: str) -> None:
        armed = min((file for file in os.listdir(self.directory) if not file.startswith("~")), default=None)
        token = None if armed is None else _TOKEN.fullmatch(armed)
        if armed is None or token is None or token["name"] != name:
            return
        if token["role"] and _role and not _role.startswith(token["role"]):
            return
        left = int(token["left"] or 1)
        if left > 1:
            role = f"@{token['role']}" if token["role"] else ""
            self._rename(armed, f"{token['order']}+{name}{role}:{left - 1}")
        elif self._rename(armed, f"~{token['order']}+{name}+{os.getpid()}"):
            os.kill(os.getpid(), signal.SIGKILL)

    def _rename(self, old: str, new: str) -> bool:
        """Take a token; False when another process was first."""
        try:
            os.rename(os.path.join(self.directory, old), os.path.join(self.directory, new))
        except FileNotFoundError:
            return False
        return True


def _made() -> Callable[[str], None]:
    plan = os.environ.get("FILTERD_KILL_PLAN")
    return _Plan(plan).reach if plan else _Trap(os.environ.get("FILTERD_KILL_AT")).reach


# Called from hot paths: without a plan, a bound method that compares one string.
reach = _made()
