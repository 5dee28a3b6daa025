"""Records and local parts that try to get a pass, or to keep us busy."""

from __future__ import annotations

import pytest

from filterd.ports import DnsAnswer
from tests.checks.forged import told
from tests.kit.zones import Zone, ZoneLookups, ZoneResolver

ZONE = {
    "a.example": {"TXT": ["v=spf1 redirect=b.example"]},
    "b.example": {"TXT": ["v=spf1 redirect=a.example"]},
    "self.example": {"TXT": ["v=spf1 include:self.example -all"]},
    "two.example": {"TXT": ["v=spf1 +all", "v=spf1 -all"]},
    "ten.example": {"TXT": ["v=spf10 +all"]},
    "wide.example": {"TXT": ["v=spf1 ip4:192.0.2.66/33 +all"]},
    "octal.example": {"TXT": ["v=spf1 ip4:192.0.2.066 +all"]},
    "macro.example": {"TXT": ["v=spf1 exists:%{l}.%{d} -all"]},
    "yes.macro.example": {"A": ["127.0.0.2"]},
    "y.evil.example": {"A": ["127.0.0.2"]},
}


class Counting(ZoneResolver):
    """Counts every question, those asked before as well."""

    asked = 0

    def for_message(self) -> ZoneLookups:
        counting, lookups = self, super().for_message()
        known = lookups.known

        def count(name: str, rdtype: str) -> DnsAnswer:
            counting.asked += 1
            return known(name, rdtype)

        lookups.known = count  # type: ignore[method-assign]
        return lookups


RAW = b"From: ceo@bank.example\r\n\r\nhello\r\n"


@pytest.mark.parametrize(
    ("mail_from", "expected"),
    [
        ("x@a.example", "permerror"),
        ("x@self.example", "permerror"),
        ("x@two.example", "permerror"),
        ("x@ten.example", "none"),
        ("x@wide.example", "permerror"),
        ("x@octal.example", "permerror"),
        ("yes@macro.example", "pass"),
        ("no@macro.example", "fail"),
        ("y.evil.example@x@macro.example", "fail"),
        ("%{h}@macro.example", "fail"),
        ("x." * 30 + "x@macro.example", "fail"),
    ],
)
@pytest.mark.timeout(120)
async def test_a_stranger_gets_no_pass_and_few_questions(mail_from: str, expected: str) -> None:
    resolver = Counting(Zone(ZONE))
    seen = await told(RAW, mail_from=mail_from, resolver=resolver)
    assert seen.methods[0] == f"spf={expected}"
    # RFC 7208 §4.6.4: ten terms that ask DNS; and what the other checks ask about an author of theirs.
    assert 0 < resolver.asked < 40
