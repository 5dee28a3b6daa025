"""The openspf suite for RFC 7208: all 203 cases, against a zone in memory and against a DNS server on loopback."""

from __future__ import annotations

import pytest

from filterd.checks.spf_query import Answer, Questions, check_host, read_client
from filterd.clients.resolver import Ask, DnsResolver
from filterd.clients.resolver_wire import NameServers, Reply
from filterd.demo.zone import Zone, ZoneServer
from filterd.errors import PortError
from filterd.ports import Lookups
from tests.conformance.spf_suite import SpfCase, read_suite
from tests.conftest import find_data
from tests.kit.waiting import PATIENCE_S
from tests.kit.zones import ZoneLookups

SUITE = "conformance/spf-rfc7208/rfc7208-tests.yml"
_DATA = find_data()
CASES = read_suite(_DATA / SUITE) if _DATA else []

pytestmark = pytest.mark.data

async def answer(case: SpfCase, dns: Lookups) -> Answer:
    client = read_client(case.host)
    assert client is not None
    local_part, _, domain = case.mailfrom.rpartition("@") if case.mailfrom else ("", "", case.helo)
    return await check_host(
        Questions(dns), client, domain.lower(), local_part=local_part or "postmaster", helo=case.helo
    )


def test_the_suite_was_read_whole() -> None:
    assert len(CASES) == 203


async def test_in_memory() -> None:
    actual = {case.name: (await answer(case, ZoneLookups(case.zone))).result for case in CASES}
    wrong = {case.name: (actual[case.name], case.results) for case in CASES if actual[case.name] not in case.results}
    assert wrong == {}


def answered_by(server: ZoneServer, zone: Zone) -> Ask:
    """Ask the server with all patience; what it will never answer, which the zone knows, is not waited for."""
    servers = NameServers([server.address], patience_s=PATIENCE_S)

    async def ask(labels: tuple[bytes, ...], rdtype: str) -> Reply:
        if zone.find(b".".join(labels).decode("ascii"), rdtype).fail == "timeout":
            raise PortError("DNS: no answer in time", temporary=True)
        return await servers.ask(labels, rdtype)

    return ask


@pytest.mark.slow
async def test_over_loopback() -> None:
    wrong = {}
    zones: dict[int, Zone] = {id(case.zone): case.zone for case in CASES}
    for key, zone in zones.items():
        with ZoneServer(zone) as server:
            resolver = DnsResolver(answered_by(server, zone), deadline_s=10 * PATIENCE_S)
            for case in CASES:
                if id(case.zone) == key:
                    given = await answer(case, resolver.for_message())
                    if given.result not in case.results:
                        wrong[case.name] = (given, case.results)
    assert wrong == {}


async def test_no_case_needs_the_catch_all() -> None:
    problems = {case.name: (await answer(case, ZoneLookups(case.zone))).problem for case in CASES}
    assert {name: problem for name, problem in problems.items() if problem in ("exception", "budget")} == {}
