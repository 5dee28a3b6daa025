"""Keys made, shown and compared with what stands in DNS."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.rig import run
from tests.kit.signing_keys import ed25519_key, record, rsa_key, write
from tests.kit.zones import Zone, ZoneServer

pytestmark = pytest.mark.slow


def config_of(folder: Path, address: str = "127.0.0.1:1") -> Path:
    tables = [
        f'[[signing.key]]\ndomain = "{name}.example"\nselector = "s"\nfile = "{write(folder / name, key)}"\n'
        for name, key in (("rsa", rsa_key()), ("ed", ed25519_key()), ("gone", rsa_key()), ("other", rsa_key()))
    ]
    seal = f'[signing.seal]\ndomain = "mx.example"\nselector = "a"\nfile = "{folder / "ed"}"\n'
    file = folder / "filterd.toml"
    file.write_text(f'[dns]\nnameservers = ["{address}"]\n' + "".join(tables) + seal)
    return file


@pytest.mark.parametrize(("kind", "begins"), [("rsa", "v=DKIM1; k=rsa; p=MIIB"), ("ed25519", "v=DKIM1; k=ed25519; p=")])
def test_a_new_key_is_its_owner_s_alone_and_its_record_is_told(tmp_path: Path, kind: str, begins: str) -> None:
    file = tmp_path / "key.pem"
    said = run("dkim", "new", "Cust.Example", "s2026", file, "--kind", kind, "--json")
    assert [x["name"] for x in said.json] == ["s2026._domainkey.cust.example"]
    assert said.json[0]["record"].startswith(begins)
    assert file.stat().st_mode & 0o777 == 0o600
    line = run("dkim", "new", "cust.example", "s2026", tmp_path / "b.pem", "--kind", kind).out
    assert line.startswith('s2026._domainkey.cust.example. IN TXT ( "v=DKIM1')
    assert all(len(text) <= 255 for text in re.findall('"([^"]*)"', line))


def test_no_key_is_written_over(tmp_path: Path) -> None:
    file = write(tmp_path / "key.pem", rsa_key())
    before = file.read_bytes()
    said = run("dkim", "new", "cust.example", "s", file)
    assert (said.code, file.read_bytes()) == (1, before)
    assert str(file) in said.err


def test_a_name_that_cannot_stand_in_dns_is_refused(tmp_path: Path) -> None:
    said = run("dkim", "new", "cust..example", "s", tmp_path / "key.pem")
    assert said.code == 1
    assert not (tmp_path / "key.pem").exists()


def test_the_records_of_the_configuration(tmp_path: Path) -> None:
    said = run("dkim", "show", "--config", config_of(tmp_path), "--json").json
    names = ["s._domainkey.rsa.example", "s._domainkey.ed.example", "s._domainkey.gone.example"]
    assert [x["name"] for x in said] == [*names, "s._domainkey.other.example", "a._domainkey.mx.example"]
    assert said[0]["record"] == record(rsa_key())
    assert said[1]["record"] == record(ed25519_key())


def test_dns_is_compared(tmp_path: Path) -> None:
    zone = {
        "s._domainkey.rsa.example": {"TXT": [record(rsa_key())]},
        "s._domainkey.ed.example": {"TXT": [record(ed25519_key())]},
        "s._domainkey.other.example": {"TXT": [record(ed25519_key())]},
        "a._domainkey.mx.example": {"FAIL": "servfail"},
    }
    with ZoneServer(Zone(zone)) as server:
        said = run("dkim", "check", "--config", config_of(tmp_path, server.address), "--json")
    states = {x["name"].split(".")[2]: x["state"] for x in said.json}
    expected = {"rsa": "published", "ed": "published", "gone": "missing", "other": "another key", "mx": "no answer"}
    assert (states, said.code) == (expected, 1)


def test_all_is_well(tmp_path: Path) -> None:
    key = write(tmp_path / "key", rsa_key())
    zone = {"s._domainkey.rsa.example": {"TXT": [record(rsa_key())]}}
    with ZoneServer(Zone(zone)) as server:
        file = tmp_path / "filterd.toml"
        file.write_text(
            f'[dns]\nnameservers = ["{server.address}"]\n[[signing.key]]\ndomain = "rsa.example"\nselector = "s"\n'
            f'file = "{key}"\n'
        )
        assert run("dkim", "check", "--config", file).code == 0
