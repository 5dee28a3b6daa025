"""Python's sleep, mended for processes under libfaketime; see tests/kit/faketime.py. Python imports it at its start.

libfaketime takes the offset off the monotonic deadline that CPython hands to clock_nanosleep: the process would not
sleep at all, or fail with EINVAL.
"""

import select
import time


def _sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        select.select((), (), (), left)
    if seconds == 0:
        select.select((), (), (), 0)


time.sleep = _sleep
