"""How long a run is, and what it leaves behind: FILTERD_FUZZ_EXAMPLES, and a seed for each crash.

Each target is a function of octets. Hypothesis makes them up; when the target fails, the smallest that it has found lie
in seeds/TARGET/ (`seed_left`) and go into the repository with the repair: `with_seeds` tries every one of them at each
run, whatever becomes of Hypothesis' own database.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

SEEDS = Path(__file__).with_name("seeds")
# `make nightly` says 100,000.
EXAMPLES = int(os.environ.get("FILTERD_FUZZ_EXAMPLES", "60"))

# A pure reader of octets; a session without sockets; and one over sockets, of which fewer fit into the same time.
octets_of_a_codec = settings(max_examples=EXAMPLES)
commands_in_memory = settings(max_examples=max(40, EXAMPLES // 5))
octets_of_a_session = settings(max_examples=max(15, EXAMPLES // 10))


@contextmanager
def seed_left(target: str, octets: bytes) -> Iterator[None]:
    """Leave `octets` behind as a seed when what is done with them fails; the last, smallest ones stay."""
    try:
        yield
    except Exception:
        file = SEEDS / target / f"crash-{os.getpid()}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(octets)
        raise


def with_seeds(target: str) -> pytest.MarkDecorator:
    """Give a test the seeds of a target as `seed`; there is always one, of no octets."""
    files = sorted((SEEDS / target).glob("*"))
    return pytest.mark.parametrize(
        "seed", [b"", *(file.read_bytes() for file in files)], ids=["none", *(f.name for f in files)]
    )
