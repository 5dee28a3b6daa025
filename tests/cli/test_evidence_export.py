"""`filterd evidence export` and `reads`, against a real ledger: a tar for the authority, a list for the auditor."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from filterd.app.reads import READS_VERB, evidence_reads
from filterd.cli import app
from filterd.ledger.link import Verb
from filterd.pipeline import evidence as evidence_verbs
from tests.cli.rig import House, open_house
from tests.cli.test_evidence import caught
from tests.ledger.evidence_rig import DIGEST, RAW

pytestmark = pytest.mark.slow

DOCUMENT = hashlib.sha256(b"order 7").hexdigest()
ALICE = "alice@cust.example"


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house that knows the verbs about evidence, too."""
    plain = evidence_verbs.table() | {READS_VERB: evidence_reads}
    mine = {name: Verb(request=None, response=None, run=run) for name, run in plain.items()}
    real = House.open

    def opened(self: House) -> None:
        self.verbs |= mine
        real(self)

    monkeypatch.setattr(House, "open", opened)
    with open_house() as house:
        yield house


def both(house: House, tokens: dict[str, str], act: str, **terms: str) -> dict[str, str]:
    pairs = [x for name, value in terms.items() for x in ("--set", f"{name}={value}")]
    made = house.run(
        "proposal", "make", act, ALICE, "--reason", "told so", *pairs, "--json", env={"FILTERD_TOKEN": tokens["dana"]}
    )
    assert made.code == 0, made.err
    given = ("proposal", "approve", made.json["proposal_id"], "--digest", made.json["digest"][:12], "--json")
    said = house.run(*given, env={"FILTERD_TOKEN": tokens["erin"]})
    assert said.code == 0, said.err
    found: dict[str, str] = said.json
    return found


@pytest.fixture
def exported(house: House) -> tuple[dict[str, str], str, str]:
    """Two people let one mail out; say their tokens, the export and the transaction."""
    _, transaction_id = caught(house)
    tokens = {name: house.person(name) for name in ("dana", "erin")}
    order = both(
        house,
        tokens,
        "register.legal_request",
        authority_kind="legal_process",
        document="D-7",
        document_digest=DOCUMENT,
        scope="March",
    )
    terms = {"case": transaction_id, "order": order["entry_id"], "to": "District court 3"}
    done = both(house, tokens, "evidence.export", **terms)
    return tokens, done["export"], transaction_id


def test_an_export_is_a_tar_of_mode_0600_with_its_manifest(
    house: House, exported: tuple[dict[str, str], str, str], tmp_path: Path
) -> None:
    tokens, export, transaction_id = exported
    file = tmp_path / "out.tar"
    said = house.run("evidence", "export", export, "--out", file, "--json", env={"FILTERD_TOKEN": tokens["dana"]})
    assert said.code == 0, said.err
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]
    name = f"{transaction_id}.eml"
    assert content[name] == RAW
    assert content["SHA256SUMS"].decode() == f"{DIGEST}  {name}\n"
    manifest = json.loads(content["manifest.json"])
    assert manifest == said.json
    assert (manifest["to"], manifest["document_digest"], manifest["approver"]) == ("District court 3", DOCUMENT, "erin")
    (mail,) = manifest["mails"]
    assert (mail["sha256"], mail["size_bytes"], mail["kept"]) == (DIGEST, len(RAW), "full")


def test_it_goes_to_a_pipe_to_be_encrypted_there(house: House, exported: tuple[dict[str, str], str, str]) -> None:
    tokens, export, transaction_id = exported
    arguments = ("evidence", "export", export, "--out", "-", "--state-dir", house.state_dir)
    env = {"FILTERD_TOKEN": tokens["erin"], "FILTERD_CONFIG": ""}
    said = CliRunner().invoke(app, [str(a) for a in arguments], env=env)
    assert said.exit_code == 0, said.stderr
    with tarfile.open(fileobj=io.BytesIO(said.stdout_bytes)) as tar:
        assert tar.getnames() == [f"{transaction_id}.eml", "manifest.json", "SHA256SUMS"]


def test_nobody_else_takes_it_and_no_file_is_left_or_written_over(
    house: House, exported: tuple[dict[str, str], str, str], tmp_path: Path
) -> None:
    tokens, export, _ = exported
    fritz = {"FILTERD_TOKEN": house.person("fritz")}
    file = tmp_path / "out.tar"
    said = house.run("evidence", "export", export, "--out", file, env=fritz)
    assert (said.code, file.exists(), "dana and erin" in said.err) == (1, False, True)
    file.write_text("mine")
    said = house.run("evidence", "export", export, "--out", file, env={"FILTERD_TOKEN": tokens["dana"]})
    assert (said.code, file.read_text()) == (2, "mine")


def test_the_auditor_lists_who_saw_and_took(
    house: House, exported: tuple[dict[str, str], str, str], tmp_path: Path
) -> None:
    tokens, export, transaction_id = exported
    dana = {"FILTERD_TOKEN": tokens["dana"]}
    assert house.run("evidence", "show", transaction_id, "--reason", "appeal 12", env=dana).code == 0
    assert house.run("evidence", "export", export, "--out", tmp_path / "x.tar", env=dana).code == 0
    said = house.run("evidence", "reads", env={"FILTERD_TOKEN": house.person("ava", "auditor")})
    assert said.code == 0, said.err
    assert "let out, with erin" in said.out
    assert f"took out {len(RAW)} octets" in said.out
    assert "appeal 12" in said.out
    assert "dana: 1 evidence.exported, 1 evidence.taken, 1 evidence.viewed" in said.out
    assert house.run("evidence", "reads", env=dana).code == 1
