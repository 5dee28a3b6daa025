"""The register: what comes with filterd is named once and says what it can find."""

from __future__ import annotations

import re

from filterd.checks import ALL_CODES, CHECKS, CODES

SIGNALS = (None, "behaviour", "content", "complaints", "identity", "attachment", "link", "pii")


def test_names_and_codes_are_unique() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert len(ALL_CODES) == len(CODES)


def test_codes_are_area_subject_state_with_a_sentence() -> None:
    for code in CODES:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+\.[a-z_]+", code.code), code
        assert re.fullmatch(r"[A-Z][^.]+\.", code.label), code
        assert code.signal in SIGNALS, code


def test_what_agreements_rest_on_is_there() -> None:
    assert {"virus.signature.match", "content.spam.model", "rate.burst.running"} <= ALL_CODES
