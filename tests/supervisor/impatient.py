"""`filterd` with a supervisor that waits for nothing: seconds become tenths.  Run as a program."""

from __future__ import annotations

from functools import partial

from filterd import cli, supervisor
from filterd.supervisor.patience import Patience

HURRIED = Patience(beat=0.2, silent=2.0, first_pause=0.01, longest_pause=1.0, loud_after=10)

if __name__ == "__main__":
    supervisor.serve = partial(supervisor.serve, patience=HURRIED)
    cli.main()
