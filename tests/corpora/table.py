"""A survey as a page: counts and codes, for ops/docs/CORPORA.md."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence

import filterd
from tests.corpora.survey import DIRECTIONS, Survey

_HEAD = """# What the checks make of other people's mail

Written by `python -m tests.corpora --write`; do not edit. All development mail of the outside data pack, every mail
walked twice through the gate with every check switched on: as mail of one of our accounts, and as a stranger's. The
mail is old (2000 to 2026), its labels are those of its sources, and it is not your mail: take the numbers as an order
of magnitude, and run `filterd scan` over mail of your own.

- DNS knew nobody: keys and records of the senders' domains are long gone. So every signature fails for want of a key
  (`auth.dkim.fail`, `auth.arc.fail`), and no domain has an SPF or DMARC record. Judge these checks by their cases.
- The account sends for a tenant whose domains are not declared to be all, and none of the mail is really its own.
- No virus scanner, and one harmless term list of our own making, so that the check has something to look for.
- Part of this mail helped to choose settings: gates of the model are from its own training split, see the model card.
"""


def page(dev: Survey, fixtures: Survey, day: str) -> str:
    """Write the page. `day`: when the run was, ISO."""
    lines = [_HEAD, *_run(dev, day), *_alarms(dev), *_findings(dev), *_dispositions(dev), *_outcomes(dev)]
    lines += [*_times(dev), *_fixtures(fixtures)]
    return "\n".join(lines) + "\n"


def _run(dev: Survey, day: str) -> Iterator[str]:
    yield "## The run"
    yield ""
    yield f"{day}, filterd {filterd.__version__}, Python {platform.python_version()}. The versions of spam and of the"
    yield "labels name the model and the beginning of its digest."
    yield ""
    yield from _rows(("check", "version"), [(check, dev.versions.get(check, "-")) for check in dev.checks])
    packs = sorted({pack for pack, _ in dev.mails})
    labels = sorted({label for _, label in dev.mails})
    yield from _rows(
        ("pack", *labels), [(pack, *(str(dev.mails[pack, label]) for label in labels)) for pack in packs]
    )
    count = sum(dev.mails.values())
    yield f"{count} mails, {2 * count} walks. Exceptions and errors of checks: {sum(dev.troubles.values())}."
    yield f"Mails the reader gave up on: {len(dev.unread)}."
    yield from (f"- {check}: {kind}, {count}" for (check, kind), count in sorted(dev.troubles.items()))
    yield ""


def _alarms(dev: Survey) -> Iterator[str]:
    """Codes found in mail its sources call ham: false alarms, or true facts about harmless mail."""
    ham = {pack: count for (pack, label), count in dev.mails.items() if label == "ham"}
    total = sum(ham.values())
    yield "## Found in ham"
    yield ""
    yield f"Of {total} mails labelled ham, how many have the code. Not each is a false alarm: a signature without a key"
    yield "is one, and people do write addresses that lead elsewhere. `worst` is the pack with the largest share."
    yield ""
    rows = []
    for code in sorted({code for _, code in dev.found}):
        counts = [sum(n for (_, label), n in dev.found[way, code].items() if label == "ham") for way in DIRECTIONS]
        if not any(counts):
            continue
        most = max((_by_pack(dev, code, "ham", pack) / of, pack) for pack, of in ham.items())
        rows.append((f"`{code}`", *(f"{n} ({n / total:.2%})" for n in counts), f"{most[1]} {most[0]:.1%}"))
    yield from _rows(("code", *DIRECTIONS, "worst"), rows)


def _by_pack(dev: Survey, code: str, label: str, pack: str) -> int:
    return max(dev.found[way, code][pack, label] for way in DIRECTIONS)


def _findings(dev: Survey) -> Iterator[str]:
    yield "## Findings by code"
    yield ""
    labels = sorted({label for _, label in dev.mails})
    rows = []
    for code in sorted({code for _, code in dev.found}):
        cells = []
        for way in DIRECTIONS:
            by_label: Counter[str] = Counter()
            for (_, label), n in dev.found[way, code].items():
                by_label[label] += n
            cells += [str(by_label[label]) for label in labels]
        rows.append((f"`{code}`", *cells))
    yield from _rows(("code", *(f"{way} {label}" for way in DIRECTIONS for label in labels)), rows)


def _dispositions(dev: Survey) -> Iterator[str]:
    yield "## What would have become of the mail"
    yield ""
    words = sorted({word for counts in dev.dispositions.values() for word in counts})
    rows = [
        (way, label, *(str(counts[word]) for word in words))
        for (way, label), counts in sorted(dev.dispositions.items())
    ]
    yield from _rows(("direction", "label", *words), rows)


def _outcomes(seen: Survey) -> Iterator[str]:
    yield "## Outcomes by check"
    yield ""
    rows = []
    for check in seen.checks:
        for way in DIRECTIONS:
            counts = seen.outcomes[way, check]
            rows.append((check, way, ", ".join(f"{says} {n}" for says, n in sorted(counts.items()))))
    yield from _rows(("check", "direction", "outcomes"), rows)


def _times(dev: Survey) -> Iterator[str]:
    yield "## Time by check"
    yield ""
    yield "CPU milliseconds of a check's own steps, each mail both ways, skipped ones too. The first check that asks"
    yield "the text model reads the mail for all labels. The machine did other things, too: what counts is the shares."
    yield ""
    rows = []
    for check in dev.checks:
        spent = sorted(dev.spent_ms[check])
        numbers = (sum(spent) / len(spent), spent[int(0.99 * (len(spent) - 1))], spent[-1])
        rows.append((check, *(f"{n:.3f}" for n in numbers)))
    yield from _rows(("check", "mean", "p99", "max"), rows)


def _fixtures(seen: Survey) -> Iterator[str]:
    yield "## Parser fixtures"
    yield ""
    count = sum(seen.mails.values())
    yield f"{count} messages of other programs' test suites, walked both ways: {sum(seen.troubles.values())} exceptions"
    yield f"or errors of checks, {len(seen.unread)} the reader gave up on. That every leaf of a tree is seen is held by"
    yield "tests/mail/test_corpora.py."
    yield ""
    rows = [(f"`{code}`", way, str(sum(by.values()))) for (way, code), by in sorted(seen.found.items())]
    yield from _rows(("code", "direction", "fixtures"), rows)


def _rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""
