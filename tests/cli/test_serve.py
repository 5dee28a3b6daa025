"""The processes that stay: what they refuse to start with, and that they start and end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.rig import run

pytestmark = pytest.mark.slow


def serve(file: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "filterd", "serve", "--config", str(file), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def small(folder: Path, port: int = 0) -> Path:
    file = folder / "filterd.toml"
    file.write_text(
        f"""
[node]
state_dir = "{folder}/s"
[[listener]]
port = {port}
[policy_service]
port = 0
[http]
port = 0
[spam]
enabled = false
[clamd]
enabled = false
"""
    )
    return file


def test_a_wrong_configuration_refuses_the_start(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[listener]\n")
    said = run("serve", "--config", file)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"filterd: {file}:1: listener: ")
    assert run("serve").code == 2
    said = run("serve", "--config", small(tmp_path), "--log-level", "loud")
    assert (said.code, said.err) == (
        2,
        "filterd: command line: --log-level: 'loud' is none of debug, info, warning, error\n",
    )


def test_a_port_that_is_taken_refuses_the_start_on_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = serve(small(tmp_path, taken.getsockname()[1]), "--log-level", "error")
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    lines = [line for line in err.splitlines() if line.startswith("filterd: ")]
    assert len(lines) == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_says_so_and_ends(tmp_path: Path, how: signal.Signals) -> None:
    process = serve(small(tmp_path), "--log-level", "error")
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "filterd ready\n"
        said = run("account", "list", "--state-dir", tmp_path / "s", "--json")
        assert (said.code, said.json) == (0, [])
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        process.kill()


def test_the_demonstration_gets_its_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from filterd import demo

    seen = []

    async def told(state_dir: Path | None, **options: object) -> bool:
        seen.append((state_dir, options))
        return True

    monkeypatch.setattr(demo, "run", told)
    assert run("demo").code == 0
    assert run("demo", "--state-dir", tmp_path, "--once", "--check", "--log-level", "info", "--json").code == 0
    assert seen == [
        (None, {"once": False, "check": False, "log_level": "error", "as_json": False}),
        (tmp_path, {"once": True, "check": True, "log_level": "info", "as_json": True}),
    ]


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--once",), 1), (("--check",), 1)])
def test_a_demonstration_that_is_not_as_claimed_fails(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int
) -> None:
    from filterd import demo

    async def told(state_dir: Path | None, **options: object) -> bool:
        return False

    monkeypatch.setattr(demo, "run", told)
    assert run("demo", *options).code == code


def test_the_demonstration_takes_no_folder_with_a_ledger(tmp_path: Path) -> None:
    from filterd.ledger.store import FILE_NAME

    (tmp_path / FILE_NAME).touch()
    said = run("demo", "--once", "--state-dir", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert "holds a ledger already" in said.err
