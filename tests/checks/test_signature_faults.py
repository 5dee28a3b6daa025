"""Signatures that are cut short, out of time or weak: never a DMARC pass, and bounded work.  FAULTS 37."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from filterd.checks import dkim, dmarc, psl, spf
from filterd.checks.dkim import keys
from filterd.checks.run import arrange, run
from filterd.model.session import Envelope
from filterd.model.verdict import Outcome, Verdict
from tests.checks.auth_cases import CASES, read_case
from tests.checks.contexts import path
from tests.kit.zones import ZoneLookups


@pytest.mark.parametrize(
    ("folder", "word", "reason"),
    [
        ("006-partial", "policy", "partial"),
        ("007-expired", "fail", "expired"),
        ("008-future", "fail", "future"),
        ("009-key-512", "policy", "key_weak"),
        ("010-key-16k", "policy", "key_large"),
        ("019-top-level", "policy", "public_suffix"),
    ],
)
async def test_fault_37_dmarc_does_not_pass_by_such_a_signature(folder: str, word: str, reason: str) -> None:
    said = await judged(folder)
    assert [r.result for r in said["dkim"].results] == [word]
    assert dict(said["dkim"].findings[0].why)["reason"] == reason
    assert [r.result for r in said["dmarc"].results] == ["fail"]


async def test_the_same_letter_well_signed_passes() -> None:
    said = await judged("001-pass")
    assert [r.result for r in (*said["dkim"].results, *said["dmarc"].results)] == ["pass", "pass"]


async def test_fault_37_with_a_huge_key_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(octets: bytes) -> None:
        raise AssertionError(len(octets))

    keys._parse.cache_clear()
    monkeypatch.setattr(keys, "load_der_public_key", never)
    said = await judged("010-key-16k")
    assert said["dkim"].outcome is Outcome.FOUND


async def judged(folder: str) -> dict[str, Verdict]:
    """Judge a case's mail as one that a stranger's server brings, for a domain that asks for rejection."""
    case = read_case(CASES / "dkim" / folder).context
    policy = {
        "_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject"]},
        "example.org": {"TXT": ["v=spf1 -all"]},
    }
    zone = tomllib.loads((CASES / "dkim" / folder / "zone.toml").read_text(encoding="utf-8")) | policy
    session = replace(case.transaction.session, client_address="203.0.113.9")
    of = replace(case.transaction, session=session, envelope=Envelope(reverse_path=path("ann@example.org")))
    is_suffix = psl.registries().is_public_suffix
    checks = arrange([spf.make(check_helo=False), dkim.make(is_public_suffix=is_suffix), dmarc.make()])
    found = await run(checks, replace(case, transaction=of, dns=ZoneLookups(zone)), on_error=_never)
    return {verdict.check: verdict for verdict in found.verdicts}


def _never(check: str, transaction_id: str, err: BaseException) -> None:
    raise AssertionError(check) from err
