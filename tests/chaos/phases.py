"""Where the campaign kills: at every marker of filterd/markers.py, and at any time every role, alone and together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from filterd.markers import HELD_MARKERS, MARKERS

Role = Literal["worker", "ledger", "all", "supervisor", "postgresql"]

# Reached in the ledger process; all others are a worker's.
_LEDGERS = ("ledger.", "vault.", "link.", "outbox.", "counters.", "release.", "return.")
# From the ledger's own notices these places are reached in the ledger process, too.
_SHARED = ("relay.data", "smtp.relaying")
EVERYTHING = "any time: everything"
# Everything at once, and again before it stands.
STARTING = "while starting"
# How PostgreSQL ends, and starts again at once: an immediate shutdown, a power cut, an orderly restart.
POSTGRESQL = ("crash", "kill", "restart")
# Done every second, or every few seconds: such a kill is waited for, and few mails are spent on it.
_SLOW = ("outbox.", "counters.", "gate.held", "release.", "return.")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One way to kill.

    Args:
        role: who dies; with one process a node that is always all of it.
        place: the marker, None: at no particular place.
        is_rare: comes by once a second or less often, however many mails are sent.
    """

    name: str
    role: Role
    place: str | None = None
    is_rare: bool = False

    def token(self, number: int) -> str:
        """Say the name of the file that arms this place."""
        role = "@w" if self.place in _SHARED else ""
        return f"{number:06}+{self.place}{role}"


def phases(*, workers: int, store: str) -> tuple[Phase, ...]:
    """Say every way to kill such a node, in the order of one mail."""
    found = []
    for name, _ in (*MARKERS, *HELD_MARKERS):
        role: Role = "ledger" if name.startswith(_LEDGERS) else "worker"
        # No link where all is one process; with PostgreSQL evidence is a row like others, and no file.
        if (name == "link.answering" and not workers) or (name == "vault.settled" and store == "postgresql"):
            continue
        found.append(Phase(name=name, role=role, place=name, is_rare=name.startswith(_SLOW)))
    found += [Phase(name=EVERYTHING, role="all"), Phase(name=STARTING, role="all")]
    if workers:
        found.append(Phase(name="any time: ledger", role="ledger"))
        found.append(Phase(name="any time: a worker", role="worker"))
        found.append(Phase(name="any time: supervisor", role="supervisor"))
    if store == "postgresql":
        found += [Phase(name=f"any time: postgresql {how}", role="postgresql") for how in POSTGRESQL]
    return tuple(found)
