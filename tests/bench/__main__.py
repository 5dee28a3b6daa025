"""What does one mail cost?  `make bench`, or `python -m tests.bench [--mails N] [--rounds N]`.

Prints CPU milliseconds a message of the walk (`pipeline.scan`: parse, fingerprints, all checks without a peer, decide,
reply) beside the standard library's `email` parser over the same mails and, with a clamd, `clamdscan` over the same
files, all in turn in one run. Numbers, no verdicts: these depend on the machine, ratios less so.

CPU is user plus system time of this process; clamd's own CPU is not in it. Outcome counts say that work was done.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import email.policy
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.bench.mails import dev_mails


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mails", type=int, default=1500)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    mails = dev_mails(given.mails)
    sizes = sorted(len(raw) for raw in mails)
    print(
        f"{len(mails)} mails of the dev split, median {sizes[len(sizes) // 2]} octets, mean {sum(sizes) // len(sizes)}"
    )
    asyncio.run(compare(mails, given.rounds))


async def compare(mails: list[bytes], rounds: int) -> dict[str, float]:
    """Run everything in turn and print the table; gives CPU ms a message, by row."""
    from filterd.app import build_checks
    from filterd.clients.clamd import ClamdScanner
    from filterd.clients.clamd_private import start_private_clamd
    from filterd.config import Config

    config = Config()
    plain = Walk(build_checks(config, scanner=None, owner_of=None), config)
    with tempfile.TemporaryDirectory(prefix="filterd-bench-") as folder:
        clamd = await start_private_clamd(Path(folder))
        try:
            scanner = ClamdScanner(f"unix:{clamd.socket_path}", timeout_s=25, max_connections=8)
            scanned = Walk(build_checks(config, scanner=scanner, owner_of=None), config)
            files = _files(mails, Path(folder))
            rows: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
                "scan, without clamd": lambda: plain.over(mails),
                "scan, with clamd (ours only)": lambda: scanned.over(mails),
                "email.message_from_bytes, compat32": lambda: _stdlib(mails, email.policy.compat32),
                "email.message_from_bytes, default": lambda: _stdlib(mails, email.policy.default),
                "clamdscan --stream (client only)": lambda: _clamdscan(files, Path(folder)),
            }
            spent: dict[str, list[float]] = {name: [] for name in rows}
            for _ in range(rounds + 1):
                for name, run in rows.items():
                    before = _cpu_s(name)
                    await run()
                    spent[name].append((_cpu_s(name) - before) * 1000 / len(mails))
        finally:
            await clamd.stop()
    medians = _print(spent)
    print("\noutcomes of the last walk with clamd")
    for check, outcomes in sorted(scanned.outcomes.items()):
        print(f"  {check:8} " + "  ".join(f"{name}={count}" for name, count in sorted(outcomes.items())))
    return medians


def _print(spent: dict[str, list[float]]) -> dict[str, float]:
    # The first round warms caches up and is left out.
    medians = {name: statistics.median(values[1:]) for name, values in spent.items()}
    base = medians["scan, without clamd"]
    print(f"\n{'CPU ms a message':38} {'median':>8} {'min':>8} {'max':>8} {'to scan':>8}")
    for name, values in spent.items():
        rest = values[1:]
        print(f"{name:38} {medians[name]:8.3f} {min(rest):8.3f} {max(rest):8.3f} {medians[name] / base:8.2f}")
    return medians


class Walk:
    """The walk with one set of checks, counting outcomes."""

    def __init__(self, checks: tuple[Any, ...], config: Any):
        from filterd import app
        from filterd.clients.clock import SystemClock
        from filterd.clients.keys import derive

        agreements = app.load_agreements(config)
        self._checks, self._terms = checks, agreements[config.agreement.default]
        self._rules, self._clock, self._keys = app.gate_rules(config), SystemClock(), derive(bytes(32))
        self.outcomes: dict[str, Counter[str]] = {}

    async def over(self, mails: list[bytes]) -> None:
        from filterd.mail.address import parse_forward_path
        from filterd.pipeline.scan import ScanOptions, scan

        self.outcomes = {}
        options = ScanOptions(login="bench@example.org", forward_paths=(parse_forward_path(b"<to@example.net>"),))
        for raw in mails:
            said = await scan(
                raw, options, self._checks, self._terms, rules=self._rules, clock=self._clock, keys=self._keys
            )
            for verdict in said.verdicts:
                self.outcomes.setdefault(verdict["check"], Counter())[
                    str(getattr(verdict["outcome"], "value", verdict["outcome"]))
                ] += 1


async def _stdlib(mails: list[bytes], policy: Any) -> None:
    """Parse, decode the text parts, read five fields: what a naive filter does before it begins."""
    for raw in mails:
        try:
            message = email.message_from_bytes(raw, policy=policy)
            for part in message.walk():
                if part.get_content_maintype() == "text":
                    part.get_payload(decode=True)
            for name in ("from", "to", "subject", "date", "message-id"):
                message.get(name)
        except (IndexError, LookupError, ValueError):
            # Old faults of the library on real mail; the time was spent all the same.
            continue


async def _clamdscan(files: Path, folder: Path) -> None:
    def run() -> None:
        command = ["clamdscan", "--stream", "--no-summary", "--infected", f"--config-file={_conf(folder)}", str(files)]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)

    await asyncio.to_thread(run)


def _conf(folder: Path) -> Path:
    return next(folder.rglob("*.conf"))


def _files(mails: list[bytes], folder: Path) -> Path:
    files = folder / "mails"
    files.mkdir()
    for number, raw in enumerate(mails):
        (files / f"{number:06}.eml").write_bytes(raw)
    return files


def _cpu_s(name: str) -> float:
    who = resource.RUSAGE_CHILDREN if name.startswith("clamdscan") else resource.RUSAGE_SELF
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
