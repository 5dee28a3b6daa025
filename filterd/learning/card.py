"""The model card: what people must know before they let a model act. Written from the manifest alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_HEAD = """# Model card: {name}, version {version}

Made {created}; features version {features_version}, prose version {prose_version}, 2^{bits} hashed weights for each
label. Weights sha256 `{sha256}`.

## What it is for

Says how much the text of a mail (subject and prose, the first 1,500 characters) reads like unsolicited or deceiving
mail: spam, advertising, phishing, fraud. Linear over hashed words and pairs of words, for Chinese runs of one to three
characters; traditional characters are read as simplified ones. No headers, hosts, addresses, dates or recipients.

A score alone is at most mode B (contestable) and never a ground by itself: mode A needs a second signal group (CLAUSES
tail-a). It counts at all only where a gate below says so; elsewhere, and for languages other than English and Chinese,
it is advisory. Not meant for deciding about people, or as the only filter of a mailbox.

The probability is calibrated for equal parts of clean and bad mail, not for any site's traffic.

## Limits

- The mail corpora are old (2000-2010) and of few places; the only recent ones are technical lists. Business,
  notification and private mail in today's style, and Chinese mail outside forums and short messages, are known from
  letters written for this project (`letters_*`). Expect more false positives on such mail than the tables say.
- The languages are told apart by script and common words; other languages in Latin script were hardly in training.
- What is only in pictures, attachments or behind links is not seen. Of long mail the middle is not read.
- What one asked for and what one did not can read alike: newsletters and offers are its most likely false positives.
- `phishing` and other labels are not trained: the sources at hand have each of them from one corpus a language, without
  clean text of the same kind, so that figures could not be honest.

## Gates

A gate is a threshold chosen on out-of-fold scores of clean train texts (all of a bucket together at half the rate,
every source with enough texts at the rate itself, corpora left out as a whole together at twice the rate), kept when
the dev split bears it out. A: at most 0.1 % of clean texts, B: at most 1 %. In brackets the 95 % Wilson interval.
"""


def write_card(file: Path, manifest: Mapping[str, Any]) -> None:
    """Write the card of a manifest."""
    parts = [_HEAD.format(**manifest, sha256=manifest["artefacts"]["weights.npz"])]
    for label in manifest["labels"]:
        parts.append(_gates(label["gates"]))
        parts.append(_figures(label["figures"]))
    parts.append(_sources(manifest["sources"], manifest["split"]))
    parts.append(_recipe(manifest["recipe"]))
    file.write_text("\n".join(parts), "utf-8")


def _gates(gates: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for gate in gates:
        for key in ("a", "b"):
            figures = gate["figures"][key]
            limit = gate[key]
            state = f"{limit:.6f}" if limit is not None else f"none: {figures['refused']}"
            shares = [_share(figures.get(name)) for name in ("train_false", "dev_false", "dev_caught")]
            rows.append([gate["language"], gate["length"], key.upper(), state, *shares])
    head = ["language", "length", "gate", "threshold", "false, train folds", "false, dev", "caught, dev"]
    return _table(head, rows)


def _figures(figures: Mapping[str, Mapping[str, Any]]) -> str:
    titles = {
        "dev": "## Dev split\n\nOther mail of the sources it was trained on: flattering.",
        "out_of_fold": "## Train split, out of fold\n\nFive folds by cluster.",
        "leave_one_out": (
            "## Corpora left out\n\nEach corpus (with those akin to it) scored by a model that has seen nothing of it: "
            "what to expect of mail from elsewhere, or worse than that, since the shipped model has seen them all. "
            "Pooled over corpora of which many have only clean or only bad texts, so the first rows are severe."
        ),
        "not_trained_on": (
            "## Sources not trained on\n\nKept out because of their licence; both splits, scored by the shipped model."
        ),
    }
    parts = []
    for key, title in titles.items():
        if key not in figures or not figures[key]["by_source"]:
            continue
        found = figures[key]
        named = {"all": found["overall"], **{f"language {n}": r for n, r in found["by_language"].items()}}
        head = ["texts", "clean", "bad", "ROC AUC", "caught at 0.1 % false", "caught at 1 % false"]
        gated = "gate_a" in found["overall"]
        head += ["false, gate A", "caught, gate A", "false, gate B", "caught, gate B"] if gated else []
        rows = [
            [name, *_row(row)] for name, row in {**named, **found["by_source"]}.items() if row["clean"] + row["bad"]
        ]
        parts.append(f"{title}\n\n{_table(head, rows)}")
        if key == "dev":
            parts.append(_calibration(found["calibration"]))
    return "\n".join(parts)


def _row(row: Mapping[str, Any]) -> list[str]:
    caught = row["caught_at_rate"]
    cells = [str(row["clean"]), str(row["bad"]), "" if row["roc_auc"] is None else f"{row['roc_auc']:.4f}"]
    # Under three clean texts a thousandth (a hundred) the rate is below one text.
    cells += [
        _share(caught[k]) if k in caught and row["clean"] >= n else "" for k, n in (("0.001", 1_000), ("0.01", 100))
    ]
    for key in ("gate_a", "gate_b"):
        if key in row:
            cells += [_share(row[key]["false"]), _share(row[key]["caught"])]
    return cells


def _calibration(rows: Iterable[Mapping[str, Any]]) -> str:
    cells = [[f"{r['from']:.1f}", str(r["texts"]), f"{r['said']:.3f}", f"{r['was']:.3f}"] for r in rows]
    head = ["probability from", "texts", "said", "was"]
    return f"Calibration on dev, classes weighed alike:\n\n{_table(head, cells)}"


def _sources(sources: Iterable[Mapping[str, Any]], split: str) -> str:
    rows = [
        [s["name"], "yes" if s["trained_on"] else "no", *(str(s[k]) for k in _COUNTS), s["licence"]] for s in sources
    ]
    head = ["source", "trained on", "train clean", "train bad", "dev clean", "dev bad", "licence"]
    note = "Sources under non-commercial, share-alike and GPL terms were not trained on."
    return f"## Data\n\n{split} {note}\n\n{_table(head, rows)}"


_COUNTS = ("train_clean", "train_bad", "dev_clean", "dev_bad")


def _recipe(recipe: Mapping[str, Any]) -> str:
    rows = [[key, str(value)] for key, value in sorted(recipe.items())]
    return f"## Recipe\n\n{_table(['setting', 'value'], rows)}"


def _share(figure: Mapping[str, Any] | None) -> str:
    if not figure or figure["rate"] is None:
        return ""
    low, high = figure["wilson95"]
    return f"{figure['count']}/{figure['of']} = {figure['rate']:.2%} [{low:.2%}, {high:.2%}]"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
