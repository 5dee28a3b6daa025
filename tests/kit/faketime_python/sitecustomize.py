"""What libfaketime leaves wrong in Python, mended; see tests/kit/faketime.py. Python imports this at its start.

Sleep: it takes the offset off the monotonic deadline that CPython hands to clock_nanosleep; the process would not sleep
at all, or fail with EINVAL. Files: their times stay real, so that what was made a second ago would seem to be days old.
"""

import os
import select
import time
from pathlib import Path

_OFFSET = Path(os.environ["FAKETIME_TIMESTAMP_FILE"])
_NS = 1_000_000_000
_TIMES = ("st_atime", "st_mtime", "st_ctime")
_real_stat = os.stat


def _sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    deadline = time.monotonic() + seconds
    select.select((), (), (), seconds)
    while (left := deadline - time.monotonic()) > 0:
        select.select((), (), (), left)


def _stat(path, *, dir_fd=None, follow_symlinks=True) -> os.stat_result:
    found = _real_stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    shift = round(float(_OFFSET.read_text()) * _NS)
    moved = {f"{name}_ns": getattr(found, f"{name}_ns") + shift for name in _TIMES}
    moved |= {name: moved[f"{name}_ns"] / _NS for name in _TIMES}
    # Ten stand in the tuple, times in whole seconds among them; the rest, and exact times, do not.
    rest = {name: getattr(found, name) for name in ("st_blksize", "st_blocks", "st_rdev")}
    head = (*found[:7], *(moved[f"{name}_ns"] // _NS for name in _TIMES))
    return os.stat_result(head, rest | moved)


time.sleep = _sleep
os.stat = _stat
os.lstat = lambda path, *, dir_fd=None: _stat(path, dir_fd=dir_fd, follow_symlinks=False)
