"""A real slapd as the operator's directory: who is found, who is not, and what never comes through."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from filterd.clients.directory_ldap import LdapDirectory, escaped, filter_for
from filterd.config.directory import LdapConfig
from filterd.errors import PortError
from tests.conftest import record_server
from tests.dialogs.tls import write_certificate
from tests.kit.loops import settled, turn
from tests.kit.slapd import BASE, PASSWORD, READER, Slapd, person
from tests.kit.waiting import PATIENCE_S, soon

pytestmark = pytest.mark.slow

MANY = 10_000
ATTRIBUTES = {
    "external_id": "entryUUID",
    "login": "mail",
    "aliases": "mailLocalAddress",
    "expires_on": "shadowExpire",
    "tenant_name": "o",
    "tenant_external_id": "departmentNumber",
    "domains": "associatedDomain",
    "language": "preferredLanguage",
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("tls"), name="ldap.example")


@pytest.fixture(scope="module")
def slapd(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[Slapd]:
    people = [person(f"u{number}", o="Corp AG") for number in range(MANY)]
    people += [person(f"twin{number}", mail="twin@corp.example") for number in range(2)]
    with Slapd(people, certificate=certificate[0], key=certificate[1]) as server:
        record_server(request.config, "slapd", server.version)
        yield server


def settings(url: str, **more: Any) -> LdapConfig:
    return LdapConfig.model_validate(
        {
            "enabled": True,
            "url": url,
            "bind_dn": READER,
            "password_env": "NOT_READ_HERE",
            "base": f"ou=people,{BASE}",
            "filter": "(|(mail={login})(mailLocalAddress={login}))",
            "attributes": ATTRIBUTES,
            # Of a server that answers: no stall of the machine is silence.
            "timeout_s": PATIENCE_S,
            **more,
        }
    )


async def ask(config: LdapConfig, login: str, password: str = PASSWORD) -> Any:
    directory = LdapDirectory(config, lambda: password)
    try:
        return await directory.look_up(login)
    finally:
        await directory.close()


# --- without a server -------------------------------------------------------------------------------------------------


def test_a_login_is_put_into_the_filter_octet_by_octet() -> None:
    assert escaped("*)(uid=*\\\x00ü") == r"\2a\29\28uid\3d\2a\5c\00\c3\bc"
    template = "(&(mail={login})(uid={local_part})(o={domain}))"
    assert filter_for(template, "a{domain}@b.example") == (
        r"(&(mail=a\7bdomain\7d@b.example)(uid=a\7bdomain\7d)(o=b.example))"
    )
    assert filter_for("(|(uid={local_part})(o={domain}))", "root") == "(|(uid=root)(o=))"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"url": "ldap://ldap.example"}, "in clear"),
        ({"url": "http://127.0.0.1"}, "ldaps://"),
        ({"url": "ldap://u:p@127.0.0.1"}, "nothing else"),
        ({"url": "ldaps://127.0.0.1", "starttls": True}, "starttls"),
        ({"filter": "(objectClass=*)"}, "{login}"),
        ({"filter": "(uid={name})"}, "{login}"),
        ({"filter": "(uid={local_part})"}, "add {domain}"),
        ({"attributes": {"shoe_size": "x"}}, "shoe_size"),
        ({"bind_dn": ""}, "go together"),
        ({"password_env": None}, "go together"),
        ({"base": ""}, "base is missing"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**{"url": "ldap://127.0.0.1", **more})


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
async def test_a_server_that_never_answers_is_given_up(scheme: str) -> None:
    hung = socket.create_server(("127.0.0.1", 0), backlog=16)
    try:
        config = settings(f"{scheme}://127.0.0.1:{hung.getsockname()[1]}", timeout_s=0.5, max_connections=2)
        directory = LdapDirectory(config, lambda: PASSWORD)
        said = await asyncio.gather(*(directory.look_up(f"{n}@x") for n in range(10)), return_exceptions=True)
        assert all(isinstance(error, PortError) and error.temporary for error in said)
        await directory.close()
        # Its threads come back from where they hung.
        await soon(lambda: not any(thread.name.startswith("ldap") for thread in threading.enumerate()))
    finally:
        hung.close()


async def test_no_server_at_all_is_temporary() -> None:
    with socket.socket() as taken:
        # Nobody listens, and nobody else can.
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(PortError, match="LDAPSocketOpenError") as raised:
            await ask(settings(f"ldap://127.0.0.1:{taken.getsockname()[1]}"), "ann@corp.example")
    assert raised.value.temporary


# --- with one ---------------------------------------------------------------------------------------------------------


@pytest.mark.database
async def test_a_person_is_found_by_login_and_by_alias_with_all_facts(slapd: Slapd) -> None:
    uuid = slapd.add(
        "ann",
        mail="Ann@Corp.example",
        mailLocalAddress=["boss@corp.example", "a@corp.example"],
        shadowExpire="20939",
        o="Corp AG",
        departmentNumber="T-1",
        preferredLanguage="zh-CN",
    )
    said = await ask(settings(slapd.url), "ann@corp.example")
    assert said == await ask(settings(slapd.url), "boss@corp.example")
    assert (said.external_id, said.login, said.aliases) == (
        uuid,
        "ann@corp.example",
        ("a@corp.example", "boss@corp.example"),
    )
    assert (said.expires_on, said.tenant_external_id, said.domains) == (date(2027, 5, 1), "T-1", ("corp.example",))
    # A name that a person bears is no id: another entry of that name is another person.
    slapd.remove("ann")
    assert await ask(settings(slapd.url), "ann@corp.example") is None
    again = slapd.add("ann", mail="ann@corp.example")
    assert (await ask(settings(slapd.url), "ann@corp.example")).external_id == again != uuid


@pytest.mark.database
@pytest.mark.parametrize(
    "login",
    ["*", "*)(uid=*", "*@corp.example", "u1*", "x)(|(objectClass=*", r"\2a", "", "ü@corp.example", "u1@corp.example)"],
)
async def test_no_login_is_a_filter(slapd: Slapd, login: str) -> None:
    assert await ask(settings(slapd.url), login) is None


@pytest.mark.database
async def test_one_among_ten_thousand_is_found_over_connections_used_again(slapd: Slapd) -> None:
    directory = LdapDirectory(settings(slapd.url), lambda: PASSWORD)
    for start in range(0, 400, 20):
        found = await asyncio.gather(*(directory.look_up(f"u{start + n}@corp.example") for n in range(20)))
        assert [said.login for said in found if said] == [f"u{start + n}@corp.example" for n in range(20)]
    assert len(directory._idle) <= 4
    await directory.close()


@pytest.mark.database
async def test_two_entries_for_one_login_are_no_answer(slapd: Slapd) -> None:
    with pytest.raises(PortError, match="more than one entry") as raised:
        await ask(settings(slapd.url), "twin@corp.example")
    assert raised.value.temporary is False


@pytest.mark.database
@pytest.mark.parametrize(
    ("more", "password", "words"),
    [
        ({}, "wr0ng secret", "invalidCredentials"),
        ({"base": "dc=nowhere"}, PASSWORD, "no such base"),
        ({"bind_dn": "cn=nobody,dc=corp,dc=example"}, PASSWORD, "invalidCredentials"),
    ],
)
async def test_what_the_server_refuses_is_said_without_a_password(
    slapd: Slapd, more: dict[str, Any], password: str, words: str
) -> None:
    with pytest.raises(PortError, match=words) as raised:
        await ask(settings(slapd.url, **more), "u1@corp.example", password)
    assert raised.value.temporary
    assert password not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.database
@pytest.mark.parametrize("how", ["ldaps", "starttls"])
async def test_tls_takes_a_good_certificate_in_the_servers_name_and_nothing_else(
    slapd: Slapd, certificate: tuple[Path, Path], tmp_path: Path, how: str
) -> None:
    url = slapd.tls_url if how == "ldaps" else slapd.url
    more = {"starttls": how == "starttls"}
    assert await ask(settings(url, ca_file=certificate[0], **more), "u1@corp.example") is not None
    stranger, _ = write_certificate(tmp_path)
    for wrong in ({"ca_file": stranger}, {"ca_file": None}):
        with pytest.raises(PortError, match="certificate"):
            await ask(settings(url, **wrong, **more), "u1@corp.example")
    # The certificate is good, but for 127.0.0.1 and ldap.example.
    other = url.replace("127.0.0.1", "localhost")
    with pytest.raises(PortError, match="certificate"):
        await ask(settings(other, ca_file=certificate[0], **more), "u1@corp.example")


@pytest.mark.database
async def test_a_server_without_tls_is_refused_where_tls_is_wanted() -> None:
    with Slapd() as plain, pytest.raises(PortError):
        await ask(settings(plain.url, starttls=True), "u1@corp.example")


@pytest.mark.database
@pytest.mark.turned
async def test_a_server_that_stops_in_between_is_asked_again_when_it_is_back(slapd: Slapd) -> None:
    directory = LdapDirectory(settings(slapd.url, timeout_s=PATIENCE_S), lambda: PASSWORD)
    try:
        assert await directory.look_up("u1@corp.example") is not None
        slapd.pause()
        asking = asyncio.create_task(directory.look_up("u1@corp.example"))
        await settled()
        await turn(PATIENCE_S)
        with pytest.raises(PortError, match="no answer within 120 s"):
            await asking
        slapd.resume()
        assert await directory.look_up("u1@corp.example") is not None
        # Connections that have died meanwhile are nobody's trouble.
        slapd.stop()
        slapd.start()
        assert await directory.look_up("u1@corp.example") is not None
        assert "is there" in await directory.ping()
    finally:
        slapd.resume()
        await directory.close()
