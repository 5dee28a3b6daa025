"""Which checks come with filterd, and what can they find?

A new one is a file with NAME, CODES and `make`, and a line in `CHECKS`.
"""

from __future__ import annotations

from filterd.checks import clamd, rate, sender, spam
from filterd.checks.spec import Builtin, Code

CHECKS: tuple[Builtin, ...] = (
    Builtin(name=clamd.NAME, codes=clamd.CODES, make=clamd.make),
    Builtin(name=spam.NAME, codes=spam.CODES, make=spam.make),
    Builtin(name=rate.NAME, codes=rate.CODES, make=rate.make),
    Builtin(name=sender.NAME, codes=sender.CODES, make=sender.make),
)

CODES: tuple[Code, ...] = tuple(code for check in CHECKS for code in check.codes)

# What an agreement may name; start-up refuses one that names anything else.
ALL_CODES: frozenset[str] = frozenset(code.code for code in CODES)
