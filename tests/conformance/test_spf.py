"""The openspf suite for RFC 7208: all 203 cases, against a zone in memory and against a DNS server on loopback.

A case that is answered otherwise than the suite says stands, with its reason, in spf_deviations.toml.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

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

DEVIATIONS = tomllib.loads((Path(__file__).parent / "spf_deviations.toml").read_text(encoding="utf-8"))

pytestmark = pytest.mark.data

Answers = dict[str, Answer]


async def answer(case: SpfCase, dns: Lookups) -> Answer:
    client = read_client(case.host)
    assert client is not None
    local_part, _, domain = case.mailfrom.rpartition("@") if case.mailfrom else ("", "", case.helo)
    return await check_host(
        Questions(dns), client, domain.lower(), local_part=local_part or "postmaster", helo=case.helo
    )


def test_the_suite_was_read_whole() -> None:
    assert len(CASES) == 203


def differing(answers: Answers) -> dict[str, str]:
    """Say which cases are answered otherwise than the suite says, and how."""
    given = {name: said.result for name, said in answers.items()}
    return {case.name: given[case.name] for case in CASES if given[case.name] not in case.results}


def argued() -> dict[str, str]:
    assert all(row["why"] for row in DEVIATIONS.values())
    return {name: row["ours"] for name, row in DEVIATIONS.items()}


async def in_memory() -> Answers:
    return {case.name: await answer(case, ZoneLookups(case.zone)) for case in CASES}


async def test_in_memory() -> None:
    assert differing(await in_memory()) == argued()


def answered_by(server: ZoneServer, zone: Zone) -> Ask:
    """Ask the server with all patience; what it will never answer, which the zone knows, is not waited for."""
    servers = NameServers([server.address], patience_s=PATIENCE_S)

    async def ask(labels: tuple[bytes, ...], rdtype: str) -> Reply:
        if zone.find(b".".join(labels).decode("ascii"), rdtype).fail == "timeout":
            raise PortError("DNS: no answer in time", temporary=True)
        return await servers.ask(labels, rdtype)

    return ask


async def over_loopback() -> Answers:
    answers: Answers = {}
    zones: dict[int, Zone] = {id(case.zone): case.zone for case in CASES}
    for key, zone in zones.items():
        with ZoneServer(zone) as server:
            resolver = DnsResolver(answered_by(server, zone), deadline_s=10 * PATIENCE_S)
            for case in CASES:
                if id(case.zone) == key:
                    answers[case.name] = await answer(case, resolver.for_message())
    return answers


@pytest.mark.slow
async def test_over_loopback() -> None:
    assert differing(await over_loopback()) == argued()


async def test_no_case_needs_the_catch_all() -> None:
    problems = {name: said.problem for name, said in (await in_memory()).items()}
    assert {name: problem for name, problem in problems.items() if problem in ("exception", "budget")} == {}
