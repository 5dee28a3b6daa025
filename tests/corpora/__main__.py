"""Scan all of the outside mail: `python -m tests.corpora [--sample N] [--write [FILE]]`.

Prints the page; with `--write`, writes it to ops/docs/CORPORA.md or FILE. Ends with status 1 when anything raised.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from filterd.log import set_up
from tests.bench.mails import ROOT, fixtures, labelled, shared_root
from tests.corpora.survey import Survey, as_mails, survey
from tests.corpora.table import page

PAGE = ROOT / "ops/docs/CORPORA.md"


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sample", type=int, help="about so many mails, evenly over the packs")
    options.add_argument("--write", type=Path, nargs="?", const=PAGE, metavar="FILE")
    given = options.parse_args(arguments)
    set_up("info", stream=io.StringIO())
    dev, seen = asyncio.run(both(given.sample))
    text = page(dev, seen, datetime.now(UTC).date().isoformat())
    if given.write is None:
        print(text)
    else:
        given.write.write_text(text, encoding="utf-8")
    return 1 if dev.troubles or seen.troubles or dev.unread or seen.unread else 0


async def both(sample: int | None) -> tuple[Survey, Survey]:
    """Survey the dev mail and the fixtures."""
    with tempfile.TemporaryDirectory(prefix="filterd-corpora-") as name:
        folder = Path(name)
        dev = await survey(labelled(sample), folder / "dev")
        return dev, await survey(as_mails(fixtures(shared_root())), folder / "fixtures")


if __name__ == "__main__":
    sys.exit(main())
