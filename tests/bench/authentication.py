"""What do a DKIM signature and an SPF record cost? `python -m tests.bench --authentication`.

CPU milliseconds a mail, for the same signed mails (RSA-2048, relaxed/relaxed, keys and records known) in one run, one
after the other in each round: our check, with and without reading the mail; dkimpy; `opendkim -t` as a process over all
files, less its start alone; our signing; SPF over cached records. Then the ratios. Numbers, no verdicts.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import dkim as dkimpy

from filterd.checks import dkim
from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.fetch import KeyAnswer
from filterd.checks.dkim.sign import SigningKey, dkim_value, signed_names
from filterd.checks.spf_query import Questions, check_host, read_client
from filterd.mail.parse import parse
from filterd.model.message import Message
from tests.bench.signed import CLIENT, Signers
from tests.kit.opendkim import OpenDkim
from tests.kit.signing_keys import rsa_key
from tests.kit.zones import ZoneLookups

T = TypeVar("T")


class Row(NamedTuple):
    """One thing that is measured: `run` does it to every mail and says how many were found good."""

    name: str
    run: Callable[[], int]


def measure(mails: list[bytes], rounds: int) -> dict[str, float]:
    """Run everything in turn and print the table; gives the median of CPU ms a mail, by row."""
    signers = Signers()
    signed = [signers.sign(_ended(raw), domain) for n, raw in enumerate(mails) if (domain := signers.domain_of(n))]
    with tempfile.TemporaryDirectory(prefix="filterd-bench-") as name:
        rows = _rows(signers, signed, Path(name))
        spent: dict[str, list[float]] = {row.name: [] for row in rows}
        good: dict[str, int] = {}
        for _ in range(rounds + 1):
            for row in rows:
                before = _cpu_s()
                good[row.name] = row.run()
                spent[row.name].append((_cpu_s() - before) * 1000 / len(signed))
    # The first round warms caches up and is left out.
    medians = {row: statistics.median(values[1:]) for row, values in spent.items()}
    medians["opendkim -t, verify"] -= medians.pop("opendkim -t, start alone")
    print(f"{len(signed)} signed mails, {rounds} rounds; CPU ms a mail, median")
    for row, value in medians.items():
        print(f"  {row:28} {value:8.3f}   good {good[row]}")
    ours = medians["filterd, verify"]
    whole = medians["filterd, parse and verify"]
    for row in ("dkimpy, verify", "opendkim -t, verify"):
        print(
            f"  {row}: {medians[row] / ours:.2f} x ours, {medians[row] / whole:.2f} x ours with reading the whole mail"
        )
    return medians


def _rows(signers: Signers, signed: list[bytes], folder: Path) -> list[Row]:
    keys = {name: said["TXT"][0] for name, said in signers.tables.items() if "._domainkey." in name}
    files = [folder / f"{number}.eml" for number in range(len(signed))]
    for file, raw in zip(files, signed, strict=True):
        file.write_bytes(raw)
    # One that is not there ends the program right after its start.
    verifier, nothing = OpenDkim(folder, keys), folder / "none.eml"
    answers = {name: KeyAnswer(records=(text.encode(),)) for name, text in keys.items()}
    known = {f"{name}.".encode(): text.encode() for name, text in keys.items()}
    messages = [parse(raw) for raw in signed]
    key = SigningKey(domain="bench.example", selector="s", private=rsa_key(2048))
    now = int(time.time())

    def verify(messages: Iterable[Message]) -> int:
        passed = 0
        for message in messages:
            canonical = Canonical(message)
            verdict = dkim.judge(message, canonical, dkim.examine(message, canonical, now), answers)
            passed += any(result.result == "pass" for result in verdict.results)
        return passed

    def sign() -> int:
        done = 0
        for message in messages:
            canonical = Canonical(message)
            names = signed_names(canonical)
            done += names is not None and bool(dkim_value(canonical, key, names, now))
        return done

    return [
        Row("filterd, verify", lambda: verify(messages)),
        Row("filterd, parse and verify", lambda: verify(map(parse, signed))),
        Row("dkimpy, verify", lambda: sum(_theirs(raw, known) for raw in signed)),
        Row("opendkim -t, verify", lambda: verifier.run(files).count("succeeded")),
        Row("opendkim -t, start alone", lambda: verifier.run([nothing]).count("succeeded")),
        Row("filterd, sign", sign),
        Row("filterd, SPF, cached", lambda: _spf(signers, len(signed))),
    ]


def _ended(raw: bytes) -> bytes:
    """SMTP knows no mail whose last line has no end; what its blanks are, verifiers say differently."""
    return raw.removesuffix(b"\r\n") + b"\r\n"


def _theirs(raw: bytes, known: dict[bytes, bytes]) -> bool:
    return bool(dkimpy.verify(raw, dnsfunc=lambda name, timeout=5: known.get(name)))


def _spf(signers: Signers, count: int) -> int:
    client = read_client(CLIENT)
    assert client is not None
    passed = 0
    for number in range(count):
        domain = signers.domain_of(5 * number) or ""
        dns = ZoneLookups(signers.zone)
        walk = check_host(Questions(dns), client, domain, local_part="sender", helo=f"mx.{domain}")
        passed += _at_once(walk).result == "pass"
    return passed


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """Finish what never waits, since the zone is in memory."""
    try:
        while True:
            work.send(None)
    except StopIteration as end:
        said: T = end.value
        return said


def _cpu_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
