"""Which checks come with filterd, and what can they find?

A new one is a file with NAME, CODES and `make`, and a line in `CHECKS`.
"""

from __future__ import annotations

from filterd.checks import (
    arc,
    attachments,
    clamd,
    complaints,
    dkim,
    dmarc,
    links,
    pii,
    prohibited,
    rate,
    replay,
    sender,
    spam,
    spf,
    terms,
)
from filterd.checks.spec import Builtin, Code

CHECKS: tuple[Builtin, ...] = (
    Builtin(name=clamd.NAME, codes=clamd.CODES, make=clamd.make),
    Builtin(name=spam.NAME, codes=spam.CODES, make=spam.make),
    Builtin(name=rate.NAME, codes=rate.CODES, make=rate.make),
    complaints.BUILTIN,
    Builtin(name=sender.NAME, codes=sender.CODES, make=sender.make),
    Builtin(name=spf.NAME, codes=spf.CODES, make=spf.make),
    Builtin(name=dkim.NAME, codes=dkim.CODES, make=dkim.make),
    Builtin(name=dmarc.NAME, codes=dmarc.CODES, make=dmarc.make),
    Builtin(name=arc.NAME, codes=arc.CODES, make=arc.make),
    Builtin(name=replay.NAME, codes=replay.CODES, make=replay.make),
    attachments.BUILTIN,
    links.BUILTIN,
    pii.BUILTIN,
    terms.BUILTIN,
    *prohibited.BUILTINS,
)

# Some have one in common.
CODES: tuple[Code, ...] = tuple(dict.fromkeys(code for check in CHECKS for code in check.codes))

# What an agreement may name; start-up refuses one that names anything else.
ALL_CODES: frozenset[str] = frozenset(code.code for code in CODES)
