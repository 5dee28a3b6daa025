"""`filterd serve`: which processes there are, and what becomes of them.  HOUSE §5, ops/docs/SUPERVISION.md.

    alone       everything in one process (`--workers 0`)
    family      a ledger process and N workers: forked, watched, started again, ended
    child       what each of them does besides its work: beats, and does as it is told
    children    what the family knows of each; patience: how long it waits for what
    reloading   another policy for all of them, or for none
    channel     the words between family and child
    control     the socket on which `filterd reload` asks
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from filterd import systemd
from filterd.config import Config
from filterd.supervisor.patience import Patience

_PATIENT = Patience()


def serve(
    config: Config,
    workers: int,
    on_ready: Callable[[], None] | None = None,
    *,
    file: Path | None = None,
    patience: Patience = _PATIENT,
) -> int:
    """Run until a signal; says the exit code. Raises ConfigError or ModelError: the start is refused.

    Args:
        on_ready: called once when every port listens.
        file: where `config` was read, to be read again by a reload; None: there is none.
    """
    ready = on_ready or (lambda: print("filterd ready", file=sys.stderr, flush=True))
    handed = systemd.sockets()
    if workers == 0:
        from filterd.supervisor.alone import run

        return run(config, ready, file=file, sockets=handed, patience=patience)
    _share_metrics(config.node.state_dir)
    from filterd.supervisor.family import Family

    return Family(config, workers, ready, file=file, sockets=handed, patience=patience).run()


def _share_metrics(state_dir: Path) -> None:
    """Make an empty folder for the metrics of all processes. prometheus_client looks for its name, and opens files in
    it, when `filterd.metrics` is first imported: before anything here that imports it."""
    shared = state_dir / "metrics"
    shared.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in shared.glob("*.db"):
        old.unlink()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
