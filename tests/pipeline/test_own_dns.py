"""A tenant's own DNS records: one advice for its administrator, and nothing else.  TX-3.1.4, AL-1.3.

The ledger, the gate and the evaluation are real; DNS is a zone in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from filterd.checks.dkim.sign import SigningKey
from filterd.checks.spf_query import read_client
from filterd.demo.zone import Zone
from filterd.model import records as r
from filterd.pipeline.own_dns import DKIM, DMARC, SPF, OwnDns, look_at
from filterd.pipeline.signing import Signer
from filterd.workers.own_dns import OwnDnsWorker
from tests.kit.dkim_keys import DkimKey
from tests.kit.house import letter
from tests.kit.zones import ZoneResolver
from tests.pipeline.people import ALICE, DAY, Office, open_office

pytestmark = pytest.mark.slow

DOMAIN = "cust.example"
OURS = "192.0.2.25"
ADDRESS = read_client(OURS)
assert ADDRESS is not None
HERE = OwnDns(addresses=(ADDRESS,), selectors=("s1",))
KEY = DkimKey.make(DOMAIN, "s1")
RIGHT: dict[str, dict[str, Any]] = {
    DOMAIN: {"TXT": [f"v=spf1 ip4:{OURS} -all"]},
    f"_dmarc.{DOMAIN}": {"TXT": ["v=DMARC1; p=none"]},
    f"s1._domainkey.{DOMAIN}": {"TXT": [KEY.record.decode()]},
}


def zone(**changes: dict[str, Any] | None) -> ZoneResolver:
    """The right records with some others: `spf`, `dmarc`, `key`; None takes them away."""
    names = {"spf": DOMAIN, "dmarc": f"_dmarc.{DOMAIN}", "key": f"s1._domainkey.{DOMAIN}"}
    made = dict(RIGHT)
    for which, records in changes.items():
        made.pop(names[which])
        if records is not None:
            made[names[which]] = records
    return ZoneResolver(Zone(made))


DEAD: dict[str, Any] = {"FAIL": "timeout"}
LOOKS = [
    ({}, {SPF: False, DKIM: False, DMARC: False}),
    ({"spf": None}, {SPF: True, DKIM: False, DMARC: False}),
    ({"spf": {"TXT": ["v=spf1 ip4:198.51.100.1 -all"]}}, {SPF: True, DKIM: False, DMARC: False}),
    ({"spf": {"TXT": ["v=spf1 ip4:bad -all"]}}, {SPF: True, DKIM: False, DMARC: False}),
    ({"spf": {"TXT": ["v=spf1 -all", "v=spf1 +all"]}}, {SPF: True, DKIM: False, DMARC: False}),
    ({"spf": DEAD}, {SPF: None, DKIM: False, DMARC: False}),
    ({"key": None}, {SPF: False, DKIM: True, DMARC: False}),
    ({"key": {"TXT": ["v=DKIM1; p="]}}, {SPF: False, DKIM: True, DMARC: False}),
    ({"key": DEAD}, {SPF: False, DKIM: None, DMARC: False}),
    ({"dmarc": None}, {SPF: False, DKIM: False, DMARC: True}),
    ({"dmarc": {"TXT": ["v=DMARC1; p=maybe"]}}, {SPF: False, DKIM: False, DMARC: True}),
    ({"dmarc": DEAD}, {SPF: False, DKIM: False, DMARC: None}),
]


@pytest.mark.parametrize(("changes", "expected"), LOOKS, ids=range(len(LOOKS)))
async def test_what_a_look_sees(changes: dict[str, Any], expected: dict[str, bool | None]) -> None:
    assert await look_at(zone(**changes), DOMAIN, HERE) == expected


async def test_what_nobody_has_said_is_not_asked() -> None:
    elsewhere = zone(spf={"TXT": ["v=spf1 ip4:198.51.100.1 -all"]}, key=None)
    assert await look_at(elsewhere, DOMAIN, OwnDns()) == {SPF: False, DKIM: None, DMARC: False}
    assert (await look_at(zone(spf=None), DOMAIN, OwnDns()))[SPF] is True


def private_of(key: DkimKey) -> RSAPrivateKey:
    private = load_pem_private_key(key.private_pem, None)
    assert isinstance(private, RSAPrivateKey)
    return private


OURS_KEY = SigningKey(domain=DOMAIN, selector="s1", private=private_of(KEY))


@pytest.mark.parametrize(
    ("changes", "keys", "expected"),
    [
        ({}, (OURS_KEY,), False),
        ({"key": None}, (OURS_KEY,), True),
        # Somebody else's public half: what we sign fails everywhere.
        ({"key": {"TXT": [DkimKey.make(DOMAIN, "s1").record.decode()]}}, (OURS_KEY,), True),
        ({"key": DEAD}, (OURS_KEY,), None),
        ({}, (OURS_KEY, replace(OURS_KEY, selector="s2")), True),
        # That of another domain is that domain's matter.
        ({"key": None}, (replace(OURS_KEY, domain="other.example"),), None),
        ({"key": None}, (), None),
    ],
    ids=range(7),
)
async def test_the_keys_we_sign_with_are_to_be_published(
    changes: dict[str, Any], keys: tuple[SigningKey, ...], expected: bool | None
) -> None:
    assert (await look_at(zone(**changes), DOMAIN, OwnDns(keys=keys)))[DKIM] is expected


async def test_only_keys_that_sign_now_are_asked_for() -> None:
    later = replace(OURS_KEY, selector="s2", since=date(2026, 12, 1))
    before = replace(OURS_KEY, selector="s0", since=date(2025, 12, 1))
    signer = Signer([OURS_KEY, later, before])
    assert [x.selector for x in signer.in_force(datetime(2026, 11, 1, tzinfo=UTC))] == ["s0"]
    assert [x.selector for x in signer.in_force(datetime(2026, 12, 1, tzinfo=UTC))] == ["s2"]
    assert [x.selector for x in Signer([OURS_KEY]).in_force(datetime(2026, 12, 1, tzinfo=UTC))] == ["s1"]


@pytest.mark.parametrize(
    ("above", "own", "is_wrong"),
    [
        ("v=DMARC1; p=none", "v=DMARC1; p=reject", True),
        ("v=DMARC1; p=none", None, True),
        ("v=DMARC1; p=none; psd=y", "v=DMARC1; p=reject", False),
        ("v=DMARC1; p=none", "v=DMARC1; p=reject; psd=n", False),
    ],
)
async def test_a_public_suffix_that_does_not_say_what_it_is_is_worth_an_advice(
    above: str, own: str | None, is_wrong: bool
) -> None:
    records = {"_dmarc.co.uk": {"TXT": [above]}}
    if own is not None:
        records["_dmarc.kites.co.uk"] = {"TXT": [own]}
    assert (await look_at(ZoneResolver(Zone(records)), "kites.co.uk", OwnDns()))[DMARC] is is_wrong


class Looked(Office):
    """An office whose tenant has declared its domain, and the daily look."""

    async def begin(self) -> None:
        await self.hire("dana", role="admin")
        row = {"line": 2, "name": "Cust", "domains": DOMAIN, "contact": f"admin@{DOMAIN}"}
        assert (await self.act("dana", "tenant.import", rows=[row]))["errors"] == []
        self.tenant_id = (await self.mailbox()).tenant_id

    def looks_at(self, resolver: ZoneResolver | None) -> OwnDnsWorker:
        """The look of a process that has just begun."""
        return OwnDnsWorker(self.engine.submit, lambda: self.rules, lambda: True, resolver, lambda _: HERE)

    async def advice(self) -> list[dict[str, Any]]:
        pending = [item.payload for item, _, _ in await self.engine.pending()]
        return [x for x in pending if x.get("event") == "advice"]

    def looks(self) -> list[tuple[str, ...]]:
        return [x.faults for x in self.records(self.tenant_id) if isinstance(x, r.DnsLooked)]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Looked]:
    async with open_office(tmp_path) as opened:
        opened.__class__ = Looked
        assert isinstance(opened, Looked)
        await opened.begin()
        yield opened


async def test_a_day_of_clean_mail_under_broken_records_is_no_point_and_one_advice(office: Looked) -> None:
    worker = office.looks_at(zone(spf=None, dmarc=None))
    told = 0
    for hour in range(24):
        assert (await office.send(letter(f"n{hour}"), "bob@other.example", login=ALICE)).reply is None
        told += await worker.run_once(office.clock.now())
        office.clock.advance(hours=1)
    await office.gate.flush()
    # One notice, to the administrator, with both codes in it.
    (advice,) = await office.advice()
    assert (advice["account_id"], advice["tenant_id"]) == (None, office.tenant_id)
    assert "tenant" in advice["audiences"]
    assert [x["code"] for x in advice["facts"]] == [DMARC, SPF]
    assert told == 2
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["points"], shown["incidents"]) == ("good", 0, [])


async def test_it_is_told_again_only_when_something_else_breaks_or_the_same_breaks_again(office: Looked) -> None:
    async def day(resolver: ZoneResolver) -> int:
        """The next day's look, in a process that has forgotten the last."""
        office.clock.advance(seconds=DAY)
        return await office.looks_at(resolver).run_once(office.clock.now())

    told = [await day(zone(spf=None)), await day(zone(spf=None)), await day(zone(spf=None, key=None))]
    assert told == [1, 0, 1]
    # Silence is neither a cure nor a fault.
    assert [await day(zone(spf=DEAD, key=DEAD, dmarc=DEAD)), await day(zone(spf=None, key=None))] == [0, 0]
    assert [await day(zone()), await day(zone(spf=None))] == [0, 1]
    spf, key = f"{SPF}:{DOMAIN}", f"{DKIM}:{DOMAIN}"
    assert office.looks() == [(spf,), (key, spf), (), (spf,)]


async def test_a_day_has_one_look_and_no_dns_none(office: Looked) -> None:
    worker = office.looks_at(zone())
    assert await worker.run_once(office.clock.now()) == 0
    worker._resolver = zone(spf=None)
    assert await worker.run_once(office.clock.now()) == 0
    office.clock.advance(seconds=DAY)
    assert await worker.run_once(office.clock.now()) == 1
    office.clock.advance(seconds=DAY)
    assert await office.looks_at(None).run_once(office.clock.now()) == 0


async def test_domains_that_first_mail_has_shown_are_not_looked_at(office: Looked) -> None:
    stranger = await office.mailbox("amy@freemail.example")
    await office.looks_at(ZoneResolver(Zone(RIGHT))).run_once(office.clock.now())
    assert [x for x in office.records(stranger.tenant_id) if isinstance(x, r.DnsLooked)] == []
    assert await office.advice() == []
