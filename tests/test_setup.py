"""The set-up itself: locks, wheel, install scripts, the tiers and the last word of a run, the private clamd."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import clamd
import pytest

from filterd import share
from filterd.clients import clamd_private
from filterd.clients.clamd_private import EICAR, MARKER, PrivateClamd, start_private_clamd
from filterd.errors import ModelError, PortError

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")


# --- Locks --------------------------------------------------------------------------------------------------------


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def locked(lock: str) -> dict[str, str]:
    """Package name → its whole stanza."""
    text = "".join(line for line in (ROOT / lock).read_text().splitlines(True) if not line.lstrip().startswith("#"))
    stanzas = re.split(r"\n(?=\S)", text.strip())
    return {canonical(stanza): stanza for stanza in stanzas}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_everything_by_hash_and_names_no_index(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text()
    for name, stanza in locked(lock).items():
        assert re.match(r"[a-z0-9._-]+==\S+", stanza), name
        assert "--hash=sha256:" in stanza, name


def test_locks_name_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    runtime = {canonical(requirement) for requirement in project["project"]["dependencies"]}
    dev = {canonical(requirement) for requirement in groups["dev"] if isinstance(requirement, str)}
    build = {canonical(requirement) for requirement in groups["build"]}
    assert runtime - locked("requirements.lock").keys() == set()
    assert (runtime | dev | build) - locked("requirements-dev.lock").keys() == set()
    assert build == locked("requirements-build.lock").keys()


def test_locks_agree_with_each_other() -> None:
    def pin(stanza: str) -> str:
        return stanza.split()[0]

    dev = locked("requirements-dev.lock")
    for lock in ("requirements.lock", "requirements-build.lock"):
        assert {name: pin(dev[name]) for name in locked(lock)} == {n: pin(s) for n, s in locked(lock).items()}


# --- Shared folders -----------------------------------------------------------------------------------------------


def test_share_finds_folders_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policies" / "agreements").mkdir(parents=True)
    monkeypatch.setattr(share, "_ROOTS", (tmp_path / "filterd" / "_share", tmp_path))
    assert share.path("policies/agreements") == tmp_path / "policies" / "agreements"


@pytest.mark.parametrize("name", ["models/none-such", "tests", "policies/../tests", "/etc/passwd", ""])
def test_share_refuses_what_is_not_shared(name: str) -> None:
    with pytest.raises(ModelError):
        share.path(name)


@pytest.mark.slow
def test_wheel_carries_models_and_policies(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "filterd", checkout / "filterd", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("models/probe/manifest.toml", "policies/agreements/probe.toml"):
        (checkout / name).parent.mkdir(parents=True)
        (checkout / name).write_text("probe = true\n")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            tmp_path,
            checkout,
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("filterd-*.whl")
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    look = "from filterd.share import path; print(path('models/probe/manifest.toml'), path('policies/agreements'))"
    found = subprocess.run(
        # -S: without the site-packages, where this very checkout is installed.
        [sys.executable, "-S", "-c", look],
        env={"PYTHONPATH": str(unpacked)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    inside = unpacked / "filterd" / "_share"
    assert found == [str(inside / "models/probe/manifest.toml"), str(inside / "policies/agreements")]
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith(("filterd/", "filterd-"))]


# --- Install scripts ----------------------------------------------------------------------------------------------


def stub(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def bare_system(folder: Path, *installed: str) -> dict[str, str]:
    """An environment in which Debian has these packages only, and we are nobody without sudo."""
    stub(folder, "dpkg-query", "".join(f"echo '{name} installed'\n" for name in installed) or ":")
    stub(folder, "id", "echo 1000")
    stub(folder, "sudo", "exit 1")
    stub(folder, "apt-get", "echo apt-get must not run >&2; exit 99")
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def packages(*tiers: str) -> list[str]:
    lines = [line.split() for line in (ROOT / "ops/install/debian-packages.txt").read_text().splitlines()]
    return [words[1] for words in lines if len(words) > 1 and words[0] in tiers]


@pytest.mark.parametrize("tiers", [("run",), ("run", "test")])
def test_install_names_what_is_missing_when_it_may_not_install(tmp_path: Path, tiers: tuple[str, ...]) -> None:
    environment = bare_system(tmp_path / "bin", "python3-venv")
    outcome = subprocess.run(
        [ROOT / "ops/install/debian.sh", *tiers],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    absent = [name for name in packages(*tiers) if name != "python3-venv"]
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[1].split(":", 1)[1].split() == absent


def test_install_does_nothing_when_nothing_is_missing(tmp_path: Path) -> None:
    environment = bare_system(tmp_path / "bin", *packages("run", "test"))
    outcome = subprocess.run([ROOT / "ops/install/debian.sh"], env=environment, capture_output=True, text=True)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_install_refuses_an_unknown_tier() -> None:
    outcome = subprocess.run([ROOT / "ops/install/debian.sh", "none-such"], capture_output=True, text=True)
    assert (outcome.returncode, outcome.stderr) == (1, "filterd install: no package belongs to: none-such\n")


def test_install_says_that_no_python_is_new_enough(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "setup.py", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "ops/install", tmp_path / "ops/install")
    stub(tmp_path / "bin", "python-old", "exit 1")
    environment = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "FILTERD_PYTHON": "python-old"}
    outcome = subprocess.run([tmp_path / "ops/install/venv.sh"], env=environment, capture_output=True, text=True)
    assert outcome.returncode == 1
    assert "no Python 3.11 or later found under the name python-old" in outcome.stderr


def test_make_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    listed = subprocess.run(["make", "-s"], cwd=ROOT, check=True, capture_output=True, text=True, env=plain()).stdout
    assert {line.split()[1] for line in listed.splitlines()} == set(phony[1].split())


def plain() -> dict[str, str]:
    """The environment without what the make or the pytest around us has put there."""
    ours = ("MAKE", "MFLAGS", "PYTEST", "FILTERD_", "COLUMNS", "PYTHONDONTWRITEBYTECODE")
    return {name: setting for name, setting in os.environ.items() if not name.startswith(ours)}


# --- The last word of a run ---------------------------------------------------------------------------------------

PASSES = "def test_passes(): pass\n"
NEEDS_DATA = "def test_reads(data_dir): assert data_dir.is_dir()\n"
NEEDS_DATA_BY_MARK = "import pytest\n@pytest.mark.data\ndef test_reads(): pass\n"
STARTS_SERVER = """
import pytest
from tests.conftest import record_server
@pytest.mark.e2e
def test_starts(pytestconfig): record_server(pytestconfig, "postfix", "9.9.9")
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with our conftest.py and nothing to test yet."""
    (tmp_path / "checkout" / "tests").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "checkout")
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "checkout" / "tests")
    return tmp_path / "checkout"


def run(checkout: Path, *arguments: str, tests: dict[str, str], **environment: str) -> tuple[int, str]:
    for name, text in tests.items():
        (checkout / "tests" / name).write_text(text)
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments],
        cwd=checkout,
        env=plain() | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return outcome.returncode, outcome.stdout + outcome.stderr


@pytest.mark.slow
@pytest.mark.parametrize("spread", [(), ("-n", "2")])
@pytest.mark.parametrize("needs", [NEEDS_DATA, NEEDS_DATA_BY_MARK])
def test_absent_data_is_named_loudly(checkout: Path, needs: str, spread: tuple[str, ...]) -> None:
    status, said = run(checkout, *spread, tests={"test_a.py": PASSES, "test_b.py": needs})
    assert status == 0
    assert "NOT RUN: needs FILTERD_DATA" in said
    assert "tests/test_b.py: 1 not run" in said


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"FILTERD_REQUIRE_DATA": "1"}, {"FILTERD_DATA": "/none/such"}])
def test_absent_data_that_was_promised_is_a_failure(checkout: Path, environment: dict[str, str]) -> None:
    status, _ = run(checkout, tests={"test_a.py": PASSES, "test_b.py": NEEDS_DATA}, **environment)
    assert status == 1


@pytest.mark.slow
def test_data_lies_beside_the_checkout_or_where_it_is_said_to_lie(checkout: Path, tmp_path: Path) -> None:
    for folder in ("shared", "elsewhere"):
        (tmp_path / folder / "data").mkdir(parents=True)
        (tmp_path / folder / "data" / "MANIFEST.json").write_text("{}")
    test = "def test_reads(data_dir): assert data_dir.name == '{}'\n"
    assert run(checkout, tests={"test_b.py": test.format("shared")})[0] == 0
    elsewhere = str(tmp_path / "elsewhere")
    assert run(checkout, tests={"test_b.py": test.format("elsewhere")}, FILTERD_DATA=elsewhere)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("spread", [(), ("-n", "2")])
@pytest.mark.parametrize("tests", [{}, {"test_b.py": NEEDS_DATA}])
def test_a_run_in_which_nothing_ran_fails(checkout: Path, tests: dict[str, str], spread: tuple[str, ...]) -> None:
    status, said = run(checkout, *spread, tests=tests)
    assert status == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "NO TEST HAS RUN" in said


@pytest.mark.slow
@pytest.mark.parametrize("spread", [(), ("-n", "2")])
def test_started_servers_are_named(checkout: Path, spread: tuple[str, ...]) -> None:
    status, said = run(checkout, *spread, tests={"test_s.py": STARTS_SERVER})
    assert status == 0
    assert re.search(r"= servers started =+\n+postfix: 9\.9\.9\n", said)


@pytest.mark.slow
def test_e2e_and_server_fixtures_stay_out_of_runs_without_servers(checkout: Path) -> None:
    tests = {"test_a.py": PASSES, "test_s.py": STARTS_SERVER, "test_c.py": "def test_scans(clamd_server): pass\n"}
    status, said = run(checkout, "-m", "not server", tests=tests)
    assert status == 0
    assert "1 passed, 2 deselected" in said


@pytest.mark.slow
def test_a_missing_server_program_is_a_failure(checkout: Path) -> None:
    missing = "import filterd.clients.clamd_private as c\nc.shutil.which = lambda *a, **k: None\n"
    status, said = run(checkout, tests={"test_c.py": missing + "def test_scans(clamd_server): pass\n"})
    assert status == 1
    assert "apt-get install clamav-daemon" in said


@pytest.mark.slow
@pytest.mark.parametrize("spread", [(), ("-n", "2")])
def test_runs_add_up(checkout: Path, tmp_path: Path, spread: tuple[str, ...]) -> None:
    record = str(tmp_path / "record")
    tests = {"test_a.py": PASSES, "test_b.py": NEEDS_DATA, "test_s.py": STARTS_SERVER}
    assert run(checkout, *spread, "-m", "not server", tests=tests, FILTERD_TEST_RECORD=record)[0] == 0
    status, said = run(checkout, "-m", "server", tests={}, FILTERD_TEST_RECORD=record)
    assert status == 0
    assert "tests/test_b.py: 1 not run" in said
    assert Path(record).read_text() == "ran 2\nserver postfix 9.9.9\nnotrun tests/test_b.py::test_reads\n"


@pytest.mark.slow
def test_an_unknown_marker_is_refused(checkout: Path) -> None:
    misspelt = "import pytest\n@pytest.mark.sever\ndef test_x(): pass\n"
    assert run(checkout, tests={"test_m.py": misspelt})[0] == pytest.ExitCode.INTERRUPTED


# --- The private clamd --------------------------------------------------------------------------------------------


def test_eicar_is_the_68_bytes_and_stands_verbatim_in_no_file() -> None:
    # The digest EICAR's file is known by.
    assert hashlib.sha256(EICAR).hexdigest() == "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"
    skipped = {".venv", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in skipped]
        for name in names:
            file = Path(folder, name)
            if file.is_file():
                assert EICAR not in file.read_bytes(), file


def mail(attachment: bytes, name: str) -> bytes:
    return b"\r\n".join(
        [
            b"From: a@example.test",
            b"To: b@example.test",
            b"Subject: probe",
            b"MIME-Version: 1.0",
            b"Content-Type: multipart/mixed; boundary=edge",
            b"",
            b"--edge",
            b"Content-Type: text/plain",
            b"",
            b"See the attachment.",
            b"--edge",
            b"Content-Type: application/octet-stream",
            b"Content-Transfer-Encoding: base64",
            b"Content-Disposition: attachment; filename=" + name.encode(),
            b"",
            base64.encodebytes(attachment).replace(b"\n", b"\r\n").rstrip(),
            b"--edge--",
            b"",
        ]
    )


def zipped(member: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("member.bin", b"some way in" * 100 + member)
    return archive.getvalue()


FOUND_EICAR = ("FOUND", "Filterd.Test.Eicar.UNOFFICIAL")
FOUND_MARKER = ("FOUND", "Filterd.Test.Marker.UNOFFICIAL")


SCANNED = {
    "plain": (EICAR, FOUND_EICAR),
    "mail": (mail(EICAR, "eicar.com"), FOUND_EICAR),
    "zip": (zipped(EICAR), FOUND_EICAR),
    "zip in mail": (mail(zipped(EICAR), "eicar.zip"), FOUND_EICAR),
    "zip in zip in mail": (mail(zipped(zipped(EICAR)), "twice.zip"), FOUND_EICAR),
    "marker": (MARKER, FOUND_MARKER),
    "marker in zip in mail": (mail(zipped(MARKER), "marker.zip"), FOUND_MARKER),
    "clean": (b"nothing of note", ("OK", None)),
    "clean mail": (mail(zipped(b"nothing of note"), "clean.zip"), ("OK", None)),
    "one byte short": (mail(EICAR[:-1], "short.com"), ("OK", None)),
}


@pytest.mark.parametrize(("content", "answer"), SCANNED.values(), ids=SCANNED)
def test_private_clamd_finds_its_signatures(
    clamd_server: PrivateClamd, content: bytes, answer: tuple[str, str]
) -> None:
    scanner = clamd.ClamdUnixSocket(str(clamd_server.socket_path))
    assert scanner.instream(io.BytesIO(content)) == {"stream": answer}


def test_private_clamd_says_what_it_is(clamd_server: PrivateClamd) -> None:
    assert clamd.ClamdUnixSocket(str(clamd_server.socket_path)).version().partition("/")[0] == clamd_server.version
    assert clamd_server.version.startswith("ClamAV ")


@pytest.mark.server
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_private_clamd_comes_back_in_the_same_folder(clamd_server: PrivateClamd, how: signal.Signals) -> None:
    first = clamd_server.pid
    await clamd_server.stop(how=how)
    assert clamd_server.pid is None
    await clamd_server.start()
    assert clamd_server.pid not in (None, first)
    assert clamd.ClamdUnixSocket(str(clamd_server.socket_path)).ping() == "PONG"


@pytest.mark.server
async def test_private_clamd_says_why_it_ended(clamd_server: PrivateClamd) -> None:
    with pytest.raises(PortError, match="in use"):
        await start_private_clamd(clamd_server.directory)


async def test_private_clamd_refuses_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="too long"):
        await start_private_clamd(tmp_path / ("x" * clamd_private.SOCKET_PATH_MAX_BYTES))
