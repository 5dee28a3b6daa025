"""`filterd` with a supervisor that starts again at once, and with a drain that only a second signal ends.

Run as a program. A child that stands still with the machine for some seconds is not taken for one that hangs.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from filterd import cli, supervisor
from filterd.supervisor.patience import Patience

# Ten failures in a row take some seconds; whoever lived longer than the longest pause has not failed.
HURRIED = Patience(beat=0.2, silent=8.0, first_pause=0.002, longest_pause=8.0, loud_after=10, stop=7200.0)

share_metrics = supervisor._share_metrics


def share(state_dir: Path) -> None:
    share_metrics(state_dir)
    # Not before, for it imports the metrics.
    from filterd.app import mail_half

    mail_half.DRAIN_S = 3600.0


if __name__ == "__main__":
    supervisor._share_metrics = share
    supervisor.serve = partial(supervisor.serve, patience=HURRIED)
    cli.main()
