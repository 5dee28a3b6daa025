"""The master key from a file, the environment or a command: found, or refused without a word of what was there."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from filterd.clients import key_source
from filterd.clients.key_source import find_keys
from filterd.clients.keys import derive, load_keys
from filterd.errors import ModelError
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.slow

MASTER = bytes(range(32))
NAME = "FILTERD_TEST_MASTER"


@pytest.fixture
def default(tmp_path: Path) -> Path:
    return tmp_path / "state" / "master.key"


def program(tmp_path: Path, body: str) -> str:
    """Write a command; say it as a source."""
    file = tmp_path / "say-key"
    file.write_text(f"#!{sys.executable}\nimport os, sys, time\n{body}\n")
    file.chmod(0o700)
    return f"command:{shlex.quote(str(file))}"


def test_a_file_is_the_default_and_is_made(default: Path, tmp_path: Path) -> None:
    keys = find_keys(None, default, may_create=True)
    assert find_keys(f"file:{default}", tmp_path / "none", may_create=False) == keys == load_keys(default)
    assert find_keys(str(default), tmp_path / "none", may_create=False) == keys
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", [MASTER.hex(), MASTER.hex().upper(), MASTER.hex() + "\n"])
def test_the_environment_gives_a_key_and_no_file_is_made(
    default: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(NAME, text)
    assert find_keys(f"env:{NAME}", default, may_create=True) == derive(MASTER)
    assert not default.parent.exists()


@pytest.mark.parametrize("text", ["", "sesame", "x" * 32, "z" * 64, "0" * 63, "0" * 65])
def test_what_is_no_key_in_the_environment_is_refused_and_not_repeated(
    default: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ModelError, match=f"env:{NAME}") as refused:
        find_keys(f"env:{NAME}", default, may_create=True)
    assert not text or text not in str(refused.value)


def test_a_missing_name_is_refused(default: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    with pytest.raises(ModelError, match=f"env:{NAME}: the environment holds no master key"):
        find_keys(f"env:{NAME}", default, may_create=True)


@pytest.mark.parametrize(
    "body",
    [
        "os.write(1, bytes(range(32)))",
        "print(bytes(range(32)).hex())",
        "os.write(1, bytes(range(16))); time.sleep(0.05); os.write(1, bytes(range(16, 32)))",
        "os.write(1, bytes(range(32))); os.write(2, b'touch the token')",
    ],
)
def test_a_command_gives_a_key_and_no_file_is_made(default: Path, tmp_path: Path, body: str) -> None:
    assert find_keys(program(tmp_path, body), default, may_create=True) == derive(MASTER)
    assert not default.parent.exists()


def test_a_command_gets_its_arguments_without_a_shell_and_no_input(default: Path, tmp_path: Path) -> None:
    source = program(tmp_path, "assert sys.argv[1:] == ['$HOME', 'a b', ';'] and not sys.stdin.read(); print('0' * 64)")
    assert find_keys(f"{source} '$HOME' 'a b' ';'", default, may_create=True) == derive(bytes(32))


def test_a_command_is_run_once_a_process(default: Path, tmp_path: Path) -> None:
    source = program(tmp_path, f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); print('0' * 64)")
    assert find_keys(source, default, may_create=True) == find_keys(source, default, may_create=False)
    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("print('5ec4e7' * 10); sys.exit(3)", "exit status 3; no master key"),
        ("print('0' * 64); sys.stderr.write('5ec4e7'); sys.exit(1)", "exit status 1; no master key"),
        ("os.kill(os.getpid(), 9)", "exit status -9; no master key"),
        ("print('5ec4e7')", "7 octets; a master key is 32 octets or 64 hex digits"),
        ("pass", "0 octets; a master key is 32 octets or 64 hex digits"),
        ("print('5ec4e7' * 10000)", "no master key after 60 s, or far more than one"),
    ],
)
def test_a_command_that_fails_is_named_and_its_output_is_not_repeated(
    default: Path, tmp_path: Path, body: str, why: str
) -> None:
    with pytest.raises(ModelError) as refused:
        find_keys(program(tmp_path, body) + " --pin=1234", default, may_create=True)
    assert str(refused.value) == f"command:{tmp_path / 'say-key'}: {why}"
    # Neither does the chain of exceptions hold it.
    assert "5ec4e7" not in repr(refused.value.__cause__)


def test_a_command_that_hangs_is_ended_with_all_it_started(
    default: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The clock is looked at for the limit, before the first octet, and then: by then the time is over.
    seen = iter([0.0, 0.0])
    monkeypatch.setattr(key_source, "time", SimpleNamespace(monotonic=lambda: next(seen, 3600.0)))
    monkeypatch.setattr(key_source, "COMMAND_TIMEOUT_S", 3600)
    noted = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(pid))"
    body = f"pid = os.fork()\nif pid: {noted}; os.write(1, b'0')\ntime.sleep(600)"
    with pytest.raises(ModelError, match="no master key after 3600 s"):
        find_keys(program(tmp_path, body), default, may_create=True)
    child = Path("/proc") / (tmp_path / "pid").read_text() / "stat"

    def has_ended() -> bool:
        try:
            return child.read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(has_ended, "the end of what it started")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("command:", "absolute path"),
        ("command:say-key", "absolute path"),
        ("command:'/bin/x", "no closing quotation"),
        ("command:/nonexistent/say-key", "No such file"),
        ("command:/dev/null", "Permission denied"),
    ],
)
def test_a_command_that_is_none_is_refused(default: Path, source: str, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        find_keys(source, default, may_create=True)
