"""The model card: what people must know before they let a model act. Written from the manifest alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_HEAD = """# Model card: {name}, version {version}

Made {created}; features version {features_version}, prose version {prose_version}, 2^{bits} hashed weights for each
label. Weights sha256 `{sha256}`.
{terms}
## What it is for

Says for each of its labels how much the text of a mail (subject and prose) reads like it: `spam` is unsolicited or
deceiving mail of any kind, the others are the matters an agreement may prohibit. Linear over hashed words and pairs of
words, for Chinese runs of one to three characters; traditional characters are read as simplified ones. No headers,
hosts, addresses, dates or recipients. A long mail is read in up to four windows of 1,500 characters, and the highest
counts, so that padding does not hide what it surrounds.

A score alone is at most mode B (contestable) and never a ground by itself: mode A needs a second signal group (CLAUSES
tail-a), and is for `spam` alone. It counts at all only where a gate below says so; elsewhere it is advisory, and in
languages where a label is not present the check says `skipped: no_model`. Not meant for deciding about people, or as
the only filter of a mailbox.

Probabilities are calibrated for equal parts of mail that is and that is not the label, not for any site's traffic.

## Limits

- The mail corpora are old (2000-2010) and of few places; the only recent ones are technical lists. Business,
  notification and private mail in today's style, and Chinese mail outside forums and short messages, are known from
  letters written for this project (`letters_*`). Expect more false positives on such mail than the tables say.
- Most labels besides `spam` come from one kind of text: Chinese ones from short messages of 2018, abuse from posts of
  a few platforms. Where a source could be left out, the tables show how much is lost on the others. Mail that says the
  same at length and politely will mostly stay below the gates.
- Abuse is labelled by what its annotators minded on those platforms: casual profanity and dialect are in `insult`, and
  words for groups of people weigh too much in `hate`. Both are matters for a person to look at.
- `phishing` in English is mail of one collection against mail of others: some of what it knows is that collection.
- Letters of a bank and of those who imitate it share their words: an honest statement can be advisory for `phishing`.
- The languages are told apart by script and common words; other languages in Latin script were hardly in training.
- What is only in pictures, attachments or behind links is not seen, nor what lies beyond 6,000 characters from both
  ends of a mail taken together.
- What one asked for and what one did not can read alike: newsletters and offers are its most likely false positives.

## Labels

{evidence_rule}
"""

_RESEARCH = """
**For research, not for service:** it was trained on sources whatever their terms, some of which forbid commercial use
or ask that what is made of them be shared alike. The table of data says which.
"""

_GATES = """## Gates

A gate is a threshold chosen on out-of-fold scores of train texts that are not the label, clean or labelled as something
else (all of a bucket together at half the rate, every source with enough texts and all mails together at the rate
itself, corpora left out as a whole together at twice the rate), kept when the dev split bears it out. A: at most 0.1 %,
B: at most 1 %. In brackets the 95 % Wilson interval. Buckets without enough texts, or without mail, have no gate.
"""


def write_card(file: Path, manifest: Mapping[str, Any]) -> None:
    """Write the card of a manifest."""
    terms = "" if manifest["recipe"]["exclude_licences"] else _RESEARCH
    parts = [_HEAD.format(**manifest, sha256=manifest["artefacts"]["weights.npz"], terms=terms)]
    parts += [_labels(manifest["labels"], manifest["labels_left_out"]), _GATES]
    parts += [_gates(label) for label in manifest["labels"]]
    parts += [_figures(label) for label in manifest["labels"]]
    parts.append(_sources(manifest["sources"], manifest["split"]))
    parts.append(_recipe(manifest["recipe"]))
    file.write_text("\n".join(parts), "utf-8")


def _labels(labels: Iterable[Mapping[str, Any]], left_out: Iterable[Mapping[str, Any]]) -> str:
    """Which labels are present in which language, and which are not and why."""
    rows = []
    for label in (*labels, *left_out):
        if isinstance(label["evidence"], str):
            rows.append([label["name"], "", f"no: {label['evidence']}", "", "", "", ""])
            continue
        for language, row in label["evidence"].items():
            interval = row["roc_auc95"]
            area = "" if row["roc_auc"] is None else f"{row['roc_auc']:.4f}"
            area += "" if interval is None else f" [{interval[0]:.4f}, {interval[1]:.4f}]"
            state = "yes" if row["is_present"] else f"no: {row['lacking']}"
            counts = [str(row[key]) for key in ("train_bad", "dev_bad", "dev_clean")]
            rows.append([label["name"], language, state, *counts, area])
    head = ["label", "language", "present", "train texts", "dev texts", "dev texts that are not", "dev ROC AUC"]
    return _table(head, rows)


def _gates(label: Mapping[str, Any]) -> str:
    rows = []
    for gate in label["gates"]:
        if gate["language"] not in label["languages"]:
            continue
        for key in ("a", "b"):
            figures = gate["figures"][key]
            limit = gate[key]
            state = f"{limit:.6f}" if limit is not None else f"none: {figures['refused']}"
            shares = [_share(figures.get(name)) for name in ("train_false", "mail_false", "dev_false", "dev_caught")]
            rows.append([gate["language"], gate["length"], key.upper(), state, *shares])
    head = ["language", "length", "gate", "threshold", "false, folds", "of them mail", "false, dev", "caught, dev"]
    return f"### Gates of {label['name']}\n\n{_table(head, rows)}"


def _figures(label: Mapping[str, Any]) -> str:
    figures = label["figures"]
    titles = {
        "dev": "### Dev split\n\nOther mail of the sources it was trained on: flattering.",
        "out_of_fold": "### Train split, out of fold\n\nFolds by cluster.",
        "leave_one_out": (
            "### Corpora left out\n\nEach corpus (with those akin to it) scored by a model that has seen none of it: "
            "what to expect of mail from elsewhere, or worse than that, since the shipped model has seen them all. "
            "Pooled over corpora of which many have only clean or only bad texts, so the first rows are severe."
        ),
        "not_trained_on": (
            "### Sources not trained on\n\nKept out because of their licence; both splits, scored by the shipped model."
        ),
    }
    parts = [f"## Figures of {label['name']}\n"]
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
            for language, row in found["by_language"].items():
                if row["clean"] and row["bad"]:
                    parts.append(_calibration(language, row["calibration"]))
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


def _calibration(language: str, rows: Iterable[Mapping[str, Any]]) -> str:
    cells = [[f"{r['from']:.1f}", str(r["texts"]), f"{r['said']:.3f}", f"{r['was']:.3f}"] for r in rows]
    head = ["probability from", "texts", "said", "was"]
    return f"Calibration on dev, {language}, classes weighed alike:\n\n{_table(head, cells)}"


def _sources(sources: Iterable[Mapping[str, Any]], split: str) -> str:
    rows = [
        [s["name"], "yes" if s["trained_on"] else "no", *(str(s[k]) for k in _COUNTS), s["licence"]] for s in sources
    ]
    head = ["source", "trained on", "train clean", "train bad", "dev clean", "dev bad", "licence"]
    note = "Sources under terms that the recipe excludes (non-commercial, share-alike, GPL) were not trained on."
    note += " Bad: with any label. What each label was trained on stands in the manifest."
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
