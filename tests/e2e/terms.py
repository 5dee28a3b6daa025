"""Agreements that only tests have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filterd.share import path as shared


def tagging(folder: Path) -> dict[str, Any]:
    """Say the settings of a node that marks spam and lets it pass: the agreement as it is shipped, but for that.

    Spam alone: some of the adverts would be refused as fraud.
    """
    text, *examples = shared("policies/agreements/tencent-exmail.toml").read_text().split("\n[[example]]\n")
    head, category, rest = text.partition('id = "spam.outbound"')
    rest = rest.replace('contestable = "quarantine"\n', "", 1)
    text = head + category + rest.replace('disposition = "reject"', 'disposition = "tag"', 1)
    # Those that tell of spam say otherwise.
    examples = [x for x in examples if "content.spam.model" not in x and "rate.unknown.high" not in x]
    (folder / "tencent-exmail.toml").write_text("\n[[example]]\n".join([text, *examples]))
    return {"agreement": {"directory": str(folder)}, "content": {"enabled": False}}


def holding(folder: Path) -> dict[str, Any]:
    """Say the settings of a node that holds mail with a From address that is not the organisation's: one finding that a
    test can make at will, and nothing follows from it for the account."""
    head, *examples = shared("policies/agreements/tencent-exmail.toml").read_text().split("\n[[example]]\n")
    parts = head.split("[[protection]]\n")
    mine = 'finding = "sender.from.foreign"'
    kept = [x.replace('"reject"', '"quarantine"') if x.startswith(mine) else x for x in parts]
    text = "[[protection]]\n".join(kept)
    others = [x for x in examples if "sender.from.foreign" not in x]
    (folder / "tencent-exmail.toml").write_text("\n[[example]]\n".join([text, *others]))
    return {"agreement": {"directory": str(folder)}, "content": {"enabled": False}, "spam": {"enabled": False}}
