"""What does one mail cost?  `make bench`, or `python -m tests.bench [--mails N] [--rounds N]`.

Prints CPU milliseconds a message of the walk through the gate with every check switched on, half of the mail outbound,
half inbound (bench/house, bench/signed): as `filterd scan` does it, without and with a virus scanner, and as it is
served, with events, metrics and log lines. Beside it, in turn in one run: a fixed amount of plain Python, the standard
library's `email` parser over the same mails, `clamdscan` over the same files, and the start of the program, whole.
Then which share reading and each check have. Numbers, no verdicts: they depend on the machine, ratios less so. What
else the machine does makes each mail cost more (shared caches): `best` takes of every mail its cheapest round, which
comes close to a machine at rest.

CPU is user plus system time of this process; clamd's own CPU is not in it. Outcome counts say that work was done.
`--corpora` scans all of the outside mail instead and says what the checks make of it (tests/corpora).
"""

from __future__ import annotations

import argparse
import asyncio
import email
import email.policy
import io
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.bench.mails import dev_mails

REFERENCE_STEPS = 300_000
_START = "start: "
_REFERENCE = "reference: a fixed loop of Python, whole"
_SCANS = ("scan, without clamd", "scan, with clamd (ours only)", "served, without clamd")
_HALVES = ("outbound", "inbound")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mails", type=int, default=1500)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--corpora", action="store_true")
    options.add_argument("--durable", action="store_true", help="durable decisions on both stores (bench/durable)")
    options.add_argument("--authentication", action="store_true", help="DKIM and SPF (bench/authentication)")
    options.add_argument("--decisions", type=int, default=400)
    given = options.parse_args()
    if given.durable:
        from tests.bench import durable

        durable.report(asyncio.run(durable.measure(given.decisions, given.rounds)))
        return
    if given.authentication:
        from tests.bench import authentication

        authentication.measure(dev_mails(given.mails), given.rounds)
        return
    if given.corpora:
        from tests.corpora.__main__ import main as corpora

        corpora([])
        return
    mails = dev_mails(given.mails)
    sizes = sorted(len(raw) for raw in mails)
    print(
        f"{len(mails)} mails of the dev split, median {sizes[len(sizes) // 2]} octets, mean {sum(sizes) // len(sizes)}"
    )
    asyncio.run(compare(mails, given.rounds))


async def compare(mails: list[bytes], rounds: int) -> dict[str, float]:
    """Run everything in turn and print the tables; gives CPU ms a message, by row."""
    from filterd.clients.clamd import ClamdScanner
    from filterd.clients.clamd_private import start_private_clamd
    from filterd.log import set_up
    from tests.bench.house import House, letters
    from tests.bench.meter import Meter
    from tests.bench.signed import Signers

    set_up("info", stream=io.StringIO())
    signers = Signers()
    halves = letters(mails, signers)
    signed = sum(letter.is_signed for letter in halves[1])
    print(f"outbound {len(halves[0])}; inbound {len(halves[1])}, {signed} of them signed (RSA-2048) with SPF and DMARC")
    with tempfile.TemporaryDirectory(prefix="filterd-bench-") as name:
        folder = Path(name)
        clamd = await start_private_clamd(folder)
        try:
            scanner = ClamdScanner(f"unix:{clamd.socket_path}", timeout_s=25, max_connections=8)
            meter = Meter()
            houses = {
                _SCANS[0]: House(folder / "plain", signers.zone, is_recorded=False),
                _SCANS[1]: House(folder / "scanned", signers.zone, scanner, is_recorded=False),
                _SCANS[2]: House(folder / "served", signers.zone),
            }
            metered = House(folder / "metered", signers.zone, around=meter.around)
            files = _files(mails, folder)
            walks = {
                f"{name}, {side}": _Walk(house, half)
                for name, house in houses.items()
                for side, half in zip(_HALVES, halves, strict=True)
            }
            rows: dict[str, Callable[[], Coroutine[Any, Any, int]]] = {row: walk.run for row, walk in walks.items()}
            rows |= {
                "email.message_from_bytes, compat32": lambda: _stdlib(mails, email.policy.compat32),
                "email.message_from_bytes, default": lambda: _stdlib(mails, email.policy.default),
                "clamdscan --stream (client only)": lambda: _clamdscan(files, folder),
                f"{_START}filterd --version": lambda: _start("-m", "filterd", "--version"),
                f"{_START}filterd --help": lambda: _start("-m", "filterd", "--help"),
                f"{_START}python alone": lambda: _start("-c", "pass"),
                _REFERENCE: _reference,
            }
            spent: dict[str, list[float]] = {row: [] for row in rows}
            for _ in range(rounds + 1):
                for row, run in rows.items():
                    before = _cpu_s(row)
                    count = await run()
                    spent[row].append((_cpu_s(row) - before) * 1000 / count)
            outcomes = await _shares(metered, meter, halves, rounds)
        finally:
            await clamd.stop()
    weights = [len(half) / len(mails) for half in halves]
    best = {row: walk.best_ms() for row, walk in walks.items()}
    for name in reversed(_SCANS):
        sides = [spent[f"{name}, {side}"] for side in _HALVES]
        both = [sum(w * x for w, x in zip(weights, pair, strict=True)) for pair in zip(*sides, strict=True)]
        spent = {name: both, **spent}
        best[name] = sum(w * best[f"{name}, {side}"] for w, side in zip(weights, _HALVES, strict=True))
    medians = _print(spent, best)
    print("\noutcomes of a walk")
    for check, counts in sorted(outcomes.items()):
        print(f"  {check:12} " + "  ".join(f"{word}={count}" for word, count in sorted(counts.items())))
    return medians


def _print(spent: dict[str, list[float]], best: dict[str, float]) -> dict[str, float]:
    # The first round warms caches up and is left out.
    medians = {row: statistics.median(values[1:]) for row, values in spent.items()}
    base = medians[_REFERENCE]
    print(f"\n{'CPU ms a message':42} {'median':>8} {'min':>8} {'max':>8} {'best':>8} {'to reference':>13}")
    for row, values in spent.items():
        rest = values[1:]
        least = f"{best[row]:8.3f}" if row in best else " " * 8
        print(f"{row:42} {medians[row]:8.3f} {min(rest):8.3f} {max(rest):8.3f} {least} {medians[row] / base:13.4f}")
    return medians


class _Walk:
    """Half of the mail through a house, again and again."""

    def __init__(self, house: Any, half: list[Any]):
        self._house, self._half = house, half
        self._least_s = [math.inf] * len(half)

    async def run(self) -> int:
        for number, letter in enumerate(self._half):
            started = time.process_time()
            await self._house.walk(letter)
            self._least_s[number] = min(self._least_s[number], time.process_time() - started)
        return len(self._half)

    def best_ms(self) -> float:
        """Milliseconds a mail, of each mail the cheapest walk."""
        return sum(self._least_s) * 1000 / len(self._half)


async def _shares(house: Any, meter: Any, halves: tuple[list[Any], list[Any]], rounds: int) -> dict[str, Counter[str]]:
    """Walk once more with every check metered, print what reading and each check take; give the outcomes."""
    from filterd.clients.clock import SystemClock
    from filterd.clients.keys import derive
    from filterd.pipeline.intake import read

    await _Walk(house, [*halves[0], *halves[1]]).run()
    columns: list[dict[str, float]] = []
    outcomes: dict[str, Counter[str]] = {}
    clock, keys = SystemClock(), derive(bytes(32))
    for half in halves:
        each: list[dict[str, float]] = []
        for _ in range(rounds):
            meter.spent_s.clear()
            started = time.process_time()
            await _Walk(house, half).run()
            whole_s = time.process_time() - started
            started = time.process_time()
            for letter in half:
                await read(letter.intake, clock.now(), keys)
            read_s = time.process_time() - started
            rest_s = whole_s - read_s - sum(meter.spent_s.values())
            each.append({"reading": read_s, **meter.spent_s, "runner, decision, records, fields": rest_s})
        columns.append({row: statistics.median(x[row] for x in each) * 1000 / len(half) for row in each[0]})
        for letter in half:
            await house.walk(letter)
            for verdict in house.recorder.verdicts:
                outcomes.setdefault(verdict.check, Counter())[verdict.outcome.value] += 1
    print(f"\n{'CPU ms a message, metered':42} {'outbound':>9} {'inbound':>9}")
    for row in columns[0]:
        says = " (and the text for all labels)" if row == "spam" else ""
        print(f"{row + says:42} {columns[0][row]:9.3f} {columns[1].get(row, 0):9.3f}")
    return outcomes


async def _reference() -> int:
    """Do a fixed amount of work, so that runs on a busy or another machine can be compared."""
    number = 0
    for step in range(REFERENCE_STEPS):
        number = (number * 31 + step) & 0xFFFF
    return 1


async def _stdlib(mails: list[bytes], policy: Any) -> int:
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
    return len(mails)


async def _clamdscan(files: Path, folder: Path) -> int:
    def run() -> None:
        command = ["clamdscan", "--stream", "--no-summary", "--infected", f"--config-file={_conf(folder)}", str(files)]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)

    await asyncio.to_thread(run)
    return len(list(files.iterdir()))


async def _start(*arguments: str) -> int:
    """Start a program of Python and wait for its end; a start, not a mail, is counted."""

    def run() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    await asyncio.to_thread(run)
    return 1


def _conf(folder: Path) -> Path:
    return next(folder.rglob("*.conf"))


def _files(mails: list[bytes], folder: Path) -> Path:
    files = folder / "mails"
    files.mkdir()
    for number, raw in enumerate(mails):
        (files / f"{number:06}.eml").write_bytes(raw)
    return files


def _cpu_s(row: str) -> float:
    who = resource.RUSAGE_CHILDREN if row.startswith(("clamdscan", _START)) else resource.RUSAGE_SELF
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
