"""The shipped agreements, loaded as the product loads them."""

from __future__ import annotations

from functools import cache

from filterd.agreement.load import load
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.share import path


@cache
def tencent() -> Agreement:
    file = path("policies/agreements/tencent-exmail.toml")
    return load(file.read_bytes(), str(file), ALL_CODES)
