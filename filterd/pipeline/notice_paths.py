"""The reverse-path of a notice: it holds which copy it is, so that a delivery report leads back to it.  TX-6.2."""

from __future__ import annotations

import re

from filterd.pipeline.notice_table import Audience

LETTERS = {
    Audience.ACCOUNT: "a",
    Audience.CONTACT: "c",
    Audience.TENANT: "t",
    Audience.SECOND: "s",
    Audience.PARTY: "p",
    Audience.DEALER: "d",
    Audience.OTHER: "o",
}
_BY_LETTER = {letter: audience for audience, letter in LETTERS.items()}
_TAG = re.compile(r"(m_[0-9a-f]{40})\.([actspod])")


def reverse_path(report_address: str | None, notice_id: str, audience: Audience) -> str | None:
    """Say the reverse-path of one copy, None for the null one."""
    if report_address is None or audience not in LETTERS:
        return None
    local, _, domain = report_address.rpartition("@")
    return f"{local}+{notice_id}.{LETTERS[audience]}@{domain}"


def read_reverse_path(address: str, report_address: str) -> tuple[str, Audience] | None:
    """Say whose report an address takes: a notice and the reader; None when it is another address."""
    local, _, domain = report_address.lower().rpartition("@")
    given, _, given_domain = address.lower().rpartition("@")
    head, _, tag = given.partition("+")
    return read_tag(tag) if (head, given_domain) == (local, domain) else None


def read_tag(tag: str) -> tuple[str, Audience] | None:
    """Read a notice's id and its reader's letter."""
    found = _TAG.fullmatch(tag)
    return (found[1], _BY_LETTER[found[2]]) if found is not None else None
