"""Which checks come with filterd, and what can they find?

A new one: its file, its line in `CHECKS`, its case folder, its paragraph in README.md beside this.
"""

from __future__ import annotations

from filterd.checks import clamd, rate, sender
from filterd.checks.spec import Builtin, Code

CHECKS: tuple[Builtin, ...] = (
    Builtin(name=clamd.NAME, codes=clamd.CODES, make=clamd.make),
    Builtin(name=rate.NAME, codes=rate.CODES, make=rate.make),
    Builtin(name=sender.NAME, codes=sender.CODES, make=sender.make),
)

CODES: tuple[Code, ...] = tuple(code for check in CHECKS for code in check.codes)

# What an agreement may name; start-up refuses one that names anything else.
ALL_CODES: frozenset[str] = frozenset(code.code for code in CODES)
