"""Every command: its help, its exit codes, errors on one line, and a start that loads nothing it does not need."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from filterd import __version__
from filterd.cli import _of, app
from filterd.log import EventStream, Log
from tests.cli.rig import House, run

pytestmark = pytest.mark.slow

NEEDS_LEDGER = (
    ("account", "list"),
    ("account", "show", "x"),
    ("account", "history", "x"),
    ("tenant", "list"),
    ("person", "add", "x", "--role", "admin"),
    ("person", "list"),
    ("sanction", "confirm", "x", "--reason", "y"),
    ("sanction", "lift", "x", "--reason", "y"),
    ("sanction", "annul", "x", "--reason", "y"),
    ("hold", "release", "x", "--reason", "y"),
    ("security", "show", "x"),
    ("security", "attest", "x", "--reason", "y"),
    ("appeal", "file", "x"),
    ("appeal", "list"),
    ("appeal", "decide", "x", "--outcome", "denied", "--reason", "y"),
    ("task", "list"),
    ("task", "close", "x", "--reason", "y"),
    ("incident", "list"),
    ("incident", "show", "x"),
    ("review", "list"),
    ("review", "claim", "x"),
    ("review", "decide", "x", "confirm", "--reason", "y"),
    ("proposal", "list"),
    ("proposal", "make", "account.terminate", "x", "--reason", "y"),
    ("proposal", "approve", "x", "--digest", "y"),
    ("cure", "list"),
    ("cure", "file", "x", "--stopped", "y", "--measures", "z"),
    ("cure", "answer", "x", "accepted", "--reason", "y"),
    ("mandate", "list"),
    ("service", "show", "x"),
    ("service", "renew", "x", "--until", "never"),
    ("service", "end", "x", "--because", "other", "--reason", "y"),
    ("service", "resume", "x", "--reason", "y"),
    ("service", "mx", "x"),
    ("clock", "list"),
    ("clock", "run", "--dry-run"),
    ("maintenance", "announce", "--until", "2026-12-01T00:00:00Z"),
    ("maintenance", "list"),
    ("maintenance", "end", "x"),
    ("bypass", "on", "--for", "30m", "--reason", "y"),
)


def commands() -> Iterator[tuple[str, ...]]:
    def below(group: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, (*path, name))
            else:
                yield (*path, name)

    return below(typer.main.get_command(app), ())


def script(*arguments: str, code: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"from filterd.cli import main\nmain()\n{code}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_every_promised_command_is_there() -> None:
    assert set(commands()) == {
        ("serve",),
        ("reload",),
        ("restore",),
        ("scan",),
        ("scan-text",),
        ("explain",),
        ("doctor",),
        ("train",),
        ("evaluate",),
        ("demo",),
        *(("account", name) for name in ("list", "show", "history", "import")),
        *(("tenant", name) for name in ("list", "show", "import", "lock", "confirm", "unlock", "quota", "lift-step")),
        *(("tenant", name) for name in ("history", "deletions", "verify")),
        *(("rights", name) for name in ("file", "add", "list")),
        *(("report", name) for name in ("open", "list", "not-required")),
        *(("change", name) for name in ("announce", "list")),
        *(("complaint", name) for name in ("file", "import", "list", "show", "close", "contest", "warn", "mute")),
        *(("optout", name) for name in ("add", "list", "remove")),
        *(("tenant", "registration", name) for name in ("list", "show", "dismiss", "confirm")),
        *(("person", name) for name in ("add", "list", "staffing", "vouch")),
        *(("sanction", name) for name in ("impose", "confirm", "lift", "annul")),
        ("hold", "release"),
        *(("security", name) for name in ("show", "hold", "release", "attest", "answer", "report", "settle", "urgent")),
        *(("appeal", name) for name in ("file", "list", "show", "claim", "assign", "ask", "add", "decide", "reopen")),
        *(("automation", name) for name in ("freeze", "thaw", "show")),
        *(("breaker", name) for name in ("list", "reset")),
        *(("recall", name) for name in ("preview", "propose")),
        *(("task", name) for name in ("list", "open", "close")),
        *(("incident", name) for name in ("list", "show")),
        *(("review", name) for name in ("list", "claim", "hand-back", "decide", "approve", "close", "read", "settle")),
        *(("proposal", name) for name in ("list", "show", "make", "approve", "withdraw", "refuse", "veto")),
        *(("cure", name) for name in ("file", "answer", "list")),
        *(("mandate", name) for name in ("give", "end", "list")),
        *(("register", name) for name in ("list", "declare", "migrate", "listing", "end", "veto")),
        *(("notice", name) for name in ("preview", "list", "show", "bounce")),
        *(("effect", name) for name in ("list", "queue")),
        *(("policy", name) for name in ("check", "show", "test", "clauses")),
        *(("terms", name) for name in ("list", "propose")),
        *(("terms", "locked", name) for name in ("list", "enable", "propose", "off")),
        *(("config", name) for name in ("check", "show")),
        *(("dkim", name) for name in ("new", "show", "check")),
        *(("log", name) for name in ("show", "find", "tail", "verify")),
        *(("log", "index", name) for name in ("status", "rebuild")),
        *(("service", name) for name in ("show", "renew", "end", "resume", "mx")),
        *(("clock", name) for name in ("list", "run")),
        *(("maintenance", name) for name in ("announce", "list", "end")),
        *(("bypass", name) for name in ("on", "off", "status")),
        *(("ledger", name) for name in ("verify", "dump", "public-key")),
        *(("backup", name) for name in ("create", "verify")),
        ("directory", "test"),
        *(("evidence", name) for name in ("show", "hold", "release", "export", "reads")),
        *(("quarantine", name) for name in ("list", "show", "release", "return", "confirm", "delete")),
    }


@pytest.mark.parametrize("command", sorted(commands()), ids=" ".join)
def test_every_command_has_help_and_takes_json(command: tuple[str, ...]) -> None:
    said = run(*command, "--help")
    assert said.code == 0
    assert "--json" in said.out
    assert said.err == ""


def test_the_version_is_said() -> None:
    assert run("--version").out == f"filterd {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("scan",), "Missing argument"),
        (("scan", "--nonsense", "x"), "No such option: --nonsense"),
        (("serve", "--config", "x", "--workers", "many"), "--workers"),
        (("person", "add", "x"), "--role"),
        (("sanction", "lift", "x"), "--reason"),
        (("log", "tail", "-n", "0"), "--lines"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(arguments: tuple[str, ...], words: str) -> None:
    said = run(*arguments)
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert line.startswith("filterd: ")
    assert words in line
    assert "--help)" in line


@pytest.mark.parametrize("arguments", [(), ("account",), ("policy",)])
def test_without_a_command_the_help_is_said(arguments: tuple[str, ...]) -> None:
    said = run(*arguments)
    assert said.code == 2
    assert "Usage: filterd" in said.out + said.err


def test_a_wrong_configuration_names_file_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "filterd.toml"
    file.write_text('[node]\nname = "n1"\n\n[spam]\nenabeld = true\n')
    said = run("account", "list", "--config", file)
    assert (said.code, said.err) == (2, f"filterd: {file}:5: spam.enabeld: unknown key\n")
    assert run("account", "list", "--config", tmp_path / "none.toml").code == 2


@pytest.mark.parametrize("command", NEEDS_LEDGER, ids=" ".join)
def test_without_a_ledger_it_is_exit_75(tmp_path: Path, command: tuple[str, ...]) -> None:
    said = run(*command, "--state-dir", tmp_path)
    assert (said.code, said.out) == (75, "")
    (line,) = said.err.splitlines()
    assert line.startswith(f"filterd: {tmp_path}/ledger.sock: ")
    assert "filterd serve" in line


def test_a_socket_that_nobody_serves_is_exit_75(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.cli.link.CONNECT_WITHIN_S", 0.2)
    house.close()
    (house.state_dir / "ledger.sock").touch()
    said = house.run("account", "list")
    assert said.code == 75


def test_a_command_finds_its_own_group_laid_out_as_in_the_whole() -> None:
    whole = typer.main.get_command(app)
    for name, command in whole.commands.items():
        small = typer.main.get_command(_of([name]))
        mine = small.commands[name]
        assert mine.get_help(mine.context_class(mine)) == command.get_help(command.context_class(command))
        assert len(small.commands) < len(whole.commands)
    assert _of([]) is _of(["--help"]) is _of(["acount"]) is app


def test_what_the_ledger_refuses_is_exit_1(house: House) -> None:
    said = house.run("account", "show", "nobody@else.example")
    assert (said.code, said.out, said.err) == (1, "", "filterd: no account nobody@else.example\n")
    assert house.run("appeal", "file", "x").err.startswith("filterd: this needs a named person: give --token")


def test_a_reader_that_has_had_enough_is_no_traceback() -> None:
    command = f"{sys.executable} -m filterd config show --json | true"
    said = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert said.stderr == ""


def test_ctrl_c_is_exit_130(tmp_path: Path) -> None:
    stream = EventStream(tmp_path / "events", "t.w0", lambda: datetime(2026, 3, 2, tzinfo=UTC))
    Log(stream, pseudonym_key=bytes(32)).config(checks={}, policies={})
    command = [sys.executable, "-m", "filterd", "log", "tail", "-f", "--state-dir", str(tmp_path)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    # Once it has said what there is, it follows.
    assert process.stdout.readline() != ""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")


def test_the_start_loads_nothing_it_does_not_need() -> None:
    heavy = [
        "asyncio",
        "ssl",
        "pydantic",
        "orjson",
        "sqlalchemy",
        "sklearn",
        "numpy",
        "cryptography",
        "structlog",
        "rich",
    ]
    code = f"import sys\ntry:\n    main()\nexcept SystemExit:\n    print([m for m in {heavy!r} if m in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", f"from filterd.cli import main\n{code}", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout.splitlines()[-1] == "[]"
