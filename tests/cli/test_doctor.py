"""What is wrong with an installation, and what to do: of a running node, of nothing at all, and one fault at a time."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filterd.cli.probes import doors, house, names, programs, state
from filterd.cli.probes.finding import Finding, Patient, Probe
from filterd.clients.clamd_private import PrivateClamd
from filterd.clients.sink import SinkScript, start_sink
from filterd.config import Config, MilterConfig, load
from filterd.demo.zone import Zone, ZoneServer
from filterd.doors.milter import start_milter
from tests.cli.rig import House, run
from tests.dialogs.house import FakeGate
from tests.kit.servers import free_ports
from tests.kit.terms import tencent
from tests.kit.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.slow


def examine(probe: Probe, **config: Any) -> list[tuple[str, str]]:
    """Ask one question of a configuration; say status and words."""
    return [(f.status.value, f"{f.what} -> {f.fix}") for f in findings(probe, **config)]


def findings(probe: Probe, **config: Any) -> list[Finding]:
    patient = Patient(config=Config.model_validate(config), file=None, agreements={"tencent-exmail": tencent()})

    async def ask() -> list[Finding]:
        return [finding async for finding in probe(patient)]

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(ask())
    finally:
        loop.close()


def statuses(probe: Probe, **config: Any) -> list[str]:
    return [status for status, _ in examine(probe, **config)]


def free_port() -> int:
    return free_ports(1)[0]


@contextlib.contextmanager
def running(serve: Callable[[], Awaitable[Callable[[], Awaitable[object]]]]) -> Iterator[None]:
    """Run a small server in a loop of its own; `serve` starts it and says how to end it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def do(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_S)

    end = do(serve())
    try:
        yield
    finally:
        do(end())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


# --- a whole node -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node() -> Iterator[Path]:
    """`filterd serve`, as an operator starts it; says its configuration file."""
    folder = Path(tempfile.mkdtemp(prefix="filterd-doctor-"))
    config = folder / "filterd.toml"
    config.write_text(
        f"""
[node]
state_dir = "{folder}/state"
[[listener]]
name = "submission"
hostname = "mx.corp.example"
attribution = "xclient"
port = {free_port()}
[policy_service]
port = {free_port()}
[milter]
enabled = true
address = "inet:{free_port()}@127.0.0.1"
[socketmap]
enabled = true
port = {free_port()}
[http]
port = {free_port()}
[spam]
enabled = false
[clamd]
enabled = false
"""
    )
    command = [sys.executable, "-m", "filterd", "serve", "--config", str(config), "--json"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if '"ready"' in line:
                break
        yield config
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            _, said = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        shutil.rmtree(folder, ignore_errors=True)
        assert process.returncode == 0, said


def test_a_running_node_is_not_broken(node: Path) -> None:
    said = run("doctor", "--config", node, "--json")
    report = said.json
    assert (said.code, report["broken"], said.err) == (0, 0, "")
    assert set(report) == {"broken", "warnings", "findings"}
    keys = {"probe", "status", "what", "fix", "fault", "change"}
    assert all(set(item) == keys for item in report["findings"])
    assert all((item["fix"] is None) == (item["status"] in ("ok", "skipped")) for item in report["findings"])
    seen = {item["probe"] for item in report["findings"]}
    assert seen == {
        *("config", "agreement", "attribution", "reach", "clock", "state_dir", "key", "ledger", "chain", "events"),
        *("clamd", "model", "next_hop", "appeals", "listeners", "policy_service", "http", "database", "directory"),
        *("two_people", "held", "paging", "milter", "socketmap", "beliefs", "loop"),
        *("dns", "postfix", "sendmail", "exim"),
    }
    for name in ("config", "agreement", "attribution", "clock", "state_dir", "key", "events"):
        assert {item["status"] for item in report["findings"] if item["probe"] == name} == {"ok"}, name
    for name in ("listeners", "beliefs", "policy_service", "milter", "socketmap", "http"):
        assert [item["status"] for item in report["findings"] if item["probe"] == name] == ["ok"], name


def test_the_text_has_a_line_a_finding_and_says_what_to_do(node: Path) -> None:
    lines = run("doctor", "--config", node).out.splitlines()
    assert lines[-1].startswith("0 broken, ")
    at = next(i for i, line in enumerate(lines) if line.startswith("WARNING  clamd"))
    assert lines[at + 1].strip().startswith("-> clamd.enabled = true")


def test_nothing_there_is_broken_and_exit_1(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        f"""
[[listener]]
port = {free_port()}
[policy_service]
port = {free_port()}
[milter]
enabled = true
address = "inet:127.0.0.1:{free_port()}"
[socketmap]
enabled = true
port = {free_port()}
[http]
port = {free_port()}
[next_hop]
address = "127.0.0.1:{free_port()}"
[clamd]
address = "unix:{tmp_path}/none"
[spam]
model = "none"
"""
    )
    said = run("doctor", "--config", config, "--state-dir", tmp_path / "state", "--json")
    assert said.code == 1
    broken = {item["probe"] for item in said.json["findings"] if item["status"] == "broken"}
    assert broken == {
        *("state_dir", "key", "ledger", "events", "config", "clamd", "model", "next_hop", "listeners"),
        *("policy_service", "milter", "socketmap", "http"),
    }


def test_a_configuration_that_cannot_be_read_is_the_only_answer(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[nodes]\n")
    said = run("doctor", "--config", tmp_path / "c.toml", "--json")
    assert (said.code, [item["probe"] for item in said.json["findings"]]) == (1, ["config"])
    assert "c.toml:1: nodes: unknown key" in said.json["findings"][0]["what"]
    (tmp_path / "c.toml").write_text('[clamd]\naddress = "nowhere"\n')
    first = run("doctor", "--config", tmp_path / "c.toml", "--state-dir", tmp_path, "--json").json["findings"][0]
    assert (first["probe"], first["status"], "c.toml:2: clamd.address" in first["what"]) == ("config", "broken", True)


# --- what the configuration says --------------------------------------------------------------------------------------


def test_a_listener_without_attribution_is_a_warning() -> None:
    listeners = [
        {"name": "a", "port": 20001},
        {"name": "b", "port": 20002, "direction": "inbound"},
        {"name": "c", "port": 20003, "attribution": "xclient"},
        {"name": "d", "port": 20004, "attribution": "xclient", "trusted_peers": []},
    ]
    said = examine(house.attribution, listener=listeners)
    assert [status for status, _ in said] == ["warning", "ok", "ok", "broken"]
    assert "nobody can be held answerable" in said[0][1]


def test_those_who_can_help_must_be_reachable() -> None:
    real = {"appeals_address": "appeals@provider.example", "sender": "Policy <policy@provider.example>"}
    assert statuses(house.reach, notices=real) == ["ok"]
    assert statuses(house.reach) == ["warning", "warning", "ok"]
    assert statuses(house.reach, notices=real, always_reachable={"local_parts": []}) == ["warning"]


def test_the_agreement_says_what_acts_on_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert statuses(house.agreement) == ["ok"]
    monkeypatch.setattr(house, "ALL_CODES", frozenset({"new.code.seen"}))
    ((_, _), (status, words)) = examine(house.agreement)
    assert (status, "new.code.seen" in words) == ("warning", True)


def test_a_clock_that_went_back_is_broken(house_: House) -> None:
    assert statuses(house.clock, node={"state_dir": str(house_.state_dir)}) == ["ok"]
    house_.clock.advance(days=3000)
    house_.account("ann@corp.example")
    house_.close()
    said = examine(house.clock, node={"state_dir": str(house_.state_dir)})
    assert [status for status, _ in said] == ["broken"]
    settable = {"state_dir": str(house_.state_dir), "clock": "settable"}
    assert statuses(house.clock, node=settable) == ["warning", "ok"]


# --- state ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def house_(house: House) -> House:
    """The probes have a module of that name."""
    return house


@pytest.mark.parametrize(("mode", "status"), [(0o700, "ok"), (0o750, "ok"), (0o755, "broken"), (0o770, "broken")])
def test_an_open_state_directory_is_broken(tmp_path: Path, mode: int, status: str) -> None:
    tmp_path.chmod(mode)
    assert statuses(state.state_dir, node={"state_dir": str(tmp_path)})[0] == status
    tmp_path.chmod(0o700)


def test_a_full_disk_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"state_dir": str(tmp_path)}
    tmp_path.chmod(0o700)
    for free, status in ((10 << 20, "broken"), (500 << 20, "warning"), (50 << 30, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(1, 1, free))
        assert statuses(state.state_dir, node=node) == ["ok", status]


def test_a_key_that_others_can_read_or_that_is_lost_is_broken(house_: House) -> None:
    node = {"state_dir": str(house_.state_dir)}
    assert statuses(state.key, node=node) == ["ok"]
    file = house_.state_dir / "master.key"
    file.chmod(0o644)
    ((status, words),) = examine(state.key, node=node)
    assert (status, "chmod 0600" in words) == ("broken", True)
    file.unlink()
    ((status, words),) = examine(state.key, node=node)
    assert (status, "restore it from its backup" in words) == ("broken", True)


def test_the_roster_is_looked_at(house_: House) -> None:
    node = {"state_dir": str(house_.state_dir)}
    assert statuses(state.ledger, node=node) == ["ok", "warning"]
    house_.person("dana")
    (_, (status, words), *alone) = examine(state.ledger, node=node)
    assert (status, "only dana may act" in words) == ("warning", True)
    assert [(status, words.partition(":")[0]) for status, words in alone] == [("warning", "solo staffing")] * 3
    house_.person("bob")
    house_.person("cem")
    assert statuses(state.ledger, node=node) == ["ok", "ok"]
    house_.violate(house_.account("ann@corp.example"))
    house_.clock.advance(days=9)
    assert examine(state.ledger, node=node)[-1] == ("warning", "1 task overdue -> filterd task list")


def test_a_chain_that_does_not_hold_is_broken(house_: House) -> None:
    node = {"state_dir": str(house_.state_dir)}
    house_.account("ann@corp.example")
    assert statuses(state.chain, node=node) == ["ok"]
    house_.close()
    assert statuses(state.chain, node=node) == ["ok"]
    with sqlite3.connect(house_.state_dir / "ledger.sqlite3") as store:
        store.execute("DELETE FROM entry WHERE seq = 1")
    ((status, words),) = examine(state.chain, node=node)
    assert (status, "row 1: is missing" in words) == ("broken", True)


def test_a_stream_that_is_missing_or_empty_is_noticed(house_: House) -> None:
    node = {"state_dir": str(house_.state_dir)}
    assert statuses(state.events, node=node) == ["warning"]
    house_.account("ann@corp.example")
    # The stream is written from the ledger's loop, soon after.
    wait_until(lambda: statuses(state.events, node=node) == ["ok"], "the stream is told")
    shutil.rmtree(house_.state_dir / "events")
    assert statuses(state.events, node=node) == ["broken"]


# --- programs ---------------------------------------------------------------------------------------------------------


def test_a_real_clamd_is_asked_to_find_something(clamd_server: PrivateClamd, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"unix:{clamd_server.socket_path}"
    said = examine(programs.clamd, clamd={"address": address})
    assert [status for status, _ in said] == ["ok", "ok"]
    assert clamd_server.version in said[0][1]
    monkeypatch.setattr(programs, "EICAR", b"nothing to find")
    assert statuses(programs.clamd, clamd={"address": address}) == ["ok", "broken"]


def test_a_name_server_that_is_a_black_hole_is_noticed() -> None:
    """One that takes every question and answers none; one that answers; none that is asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{hole.getsockname()[1]}"
        ((status, words),) = examine(names.dns, dns={"nameservers": [place], "patience_s": 0.2})
    assert (status, f"no name server answers ({place})" in words) == ("warning", True)
    with ZoneServer(Zone({})) as server:
        ((status, _),) = examine(names.dns, dns={"nameservers": [server.address], "patience_s": 60})
    assert status == "ok"
    assert statuses(names.dns, authentication={"enabled": False}) == ["skipped"]


def test_a_scanner_that_is_switched_off_or_let_through_is_a_warning(clamd_server: PrivateClamd) -> None:
    assert statuses(programs.clamd, clamd={"enabled": False}) == ["warning"]
    address = f"unix:{clamd_server.socket_path}"
    assert statuses(programs.clamd, clamd={"address": address, "fail_mode": "accept"})[-1] == "warning"


def test_a_next_hop_is_asked_what_it_offers() -> None:
    port, script = free_port(), SinkScript()

    async def serve() -> Callable[[], Awaitable[object]]:
        return (await start_sink(port=port, script=script)).close

    hop = {"address": f"127.0.0.1:{port}"}
    with running(serve):
        said = examine(programs.next_hop, next_hop=hop)
        assert said[0][0] == "ok"
        assert f"smtp:[127.0.0.1]:{port} answers EHLO" in said[0][1]
        assert statuses(programs.appeals, next_hop=hop, notices={"appeals_address": "a@b.example"}) == ["ok"]
    assert statuses(programs.next_hop, next_hop=hop) == ["broken"]
    assert statuses(programs.appeals, next_hop=hop) == ["skipped"]


def test_a_next_hop_without_the_tls_and_xclient_that_are_wanted_is_warned_about() -> None:
    port = free_port()

    async def serve() -> Callable[[], Awaitable[object]]:
        return (await start_sink(port=port)).close

    hop = {"address": f"127.0.0.1:{port}", "tls": "may", "xclient": True}
    with running(serve):
        warned = [words for status, words in examine(programs.next_hop, next_hop=hop) if status == "warning"]
        assert [word for words in warned for word in ("TLS", "XCLIENT") if word in words] == ["TLS", "XCLIENT"]
        said = examine(programs.next_hop, next_hop=hop | {"tls": "encrypt"})
        assert [status for status, _ in said] == ["broken"]
        assert "STARTTLS not offered" in said[0][1]
        # It does not know LHLO either.
        said = examine(programs.next_hop, next_hop={"address": f"127.0.0.1:{port}", "protocol": "lmtp"})
        assert [status for status, _ in said] == ["broken"]
        assert "LHLO answered with 503" in said[0][1]


def test_a_next_hop_that_offers_nothing_is_warned_about() -> None:
    port = free_port()
    replies = {b"EHLO": b"250 plain.example\r\n", b"MAIL": b"250 2.1.0 ok\r\n", b"RCPT": b"550 5.1.1 unknown\r\n"}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 plain.example\r\n")
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(replies.get(line[:4], b"250 ok\r\n"))
        writer.close()

    async def serve() -> Callable[[], Awaitable[object]]:
        server = await asyncio.start_server(talk, "127.0.0.1", port)

        async def end() -> None:
            server.close()

        return end

    hop = {"address": f"127.0.0.1:{port}"}
    with running(serve):
        said = examine(programs.next_hop, next_hop=hop)
        warned = [words.split()[4].rstrip(":") for status, words in said if status == "warning"]
        assert warned == ["8BITMIME", "SMTPUTF8", "DSN", "XFORWARD"]
        ((status, words),) = examine(programs.appeals, next_hop=hop)
        assert (status, "refuses mail to appeals@filterd.invalid: 550 5.1.1" in words) == ("broken", True)


def test_a_next_hop_that_is_ourselves_is_a_loop() -> None:
    said = examine(programs.next_hop, next_hop={"address": "localhost:10025"})
    assert [status for status, _ in said] == ["broken"]
    assert "our own listener" in said[0][1]


# --- doors ------------------------------------------------------------------------------------------------------------


def test_something_else_on_our_ports_is_noticed() -> None:
    port = free_port()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 other.example ESMTP\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read(100)
        writer.close()

    async def serve() -> Callable[[], Awaitable[object]]:
        server = await asyncio.start_server(talk, "127.0.0.1", port)

        async def end() -> None:
            server.close()

        return end

    with running(serve):
        assert statuses(doors.listeners, listener=[{"port": port}]) == ["broken"]
        assert statuses(doors.http, http={"port": port}) == ["broken"]
        assert statuses(doors.policy_service, policy_service={"port": port}) == ["broken"]
        ((status, words),) = examine(doors.milter, milter={"enabled": True, "address": f"inet:127.0.0.1:{port}"})
        assert (status, "something else" in words) == ("broken", True)
        assert statuses(doors.socketmap, socketmap={"enabled": True, "port": port}) == ["broken"]
    assert statuses(doors.listeners, listener=[{"port": 0}]) == ["skipped"]
    assert statuses(doors.policy_service, policy_service={"enabled": False}) == ["warning"]
    assert statuses(doors.http, http={"enabled": False}) == ["skipped"]
    for probe in (doors.milter, doors.socketmap):
        assert statuses(probe) == ["skipped"]
    assert statuses(doors.milter, milter={"enabled": True, "address": "inet:127.0.0.1:0"}) == ["skipped"]
    # The milter alone is early enough.
    alone = {"listener": [], "milter": {"enabled": True}, "policy_service": {"enabled": False}}
    assert statuses(doors.policy_service, **alone) == ["skipped"]


def test_a_listener_that_runs_with_another_configuration_is_noticed(node: Path) -> None:
    """What it offers this host tells whom it believes; the file in hand says otherwise."""
    running = load(node).listener[0].model_dump()
    ((status, words),) = examine(doors.beliefs, listener=[running])
    assert (status, "believes this host" in words) == ("ok", True)
    ((status, words),) = examine(doors.beliefs, listener=[running | {"trusted_peers": ()}])
    assert (status, "believes this host, and the file says otherwise" in words) == ("broken", True)
    ((status, words),) = examine(doors.beliefs, listener=[running | {"attribution": "none"}])
    assert (status, "another configuration" in words) == ("broken", True)
    assert examine(doors.beliefs, listener=[running | {"port": free_port()}]) == []


def test_a_next_hop_that_greets_as_we_do_is_a_loop(node: Path) -> None:
    """By another address than the one it listens on, so that the configuration alone does not show it."""
    running = load(node).listener[0]
    config = {"listener": [running.model_dump()], "next_hop": {"address": f"127.0.0.2:{running.port}"}}
    assert statuses(doors.loop, **config) == ["skipped"]
    config["next_hop"] = {"address": f"localhost:{running.port}"}
    ((status, words),) = examine(doors.loop, **config)
    assert (status, "in a circle" in words) == ("broken", True)
    config["listener"] = [running.model_dump() | {"hostname": "other.example"}]
    ((status, words),) = examine(doors.loop, **config)
    assert (status, running.hostname in words) == ("ok", True)
    assert statuses(doors.loop) == ["skipped"]


@pytest.mark.parametrize("place", ["port", "socket"])
def test_a_milter_is_spoken_to_as_by_an_mta(place: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="filterd-doctor-"))
    address = f"inet:127.0.0.1:{free_port()}" if place == "port" else f"unix:{folder}/milter.sock"
    errors: list[BaseException] = []

    def asked(*trusted: str) -> list[tuple[str, str]]:
        config = MilterConfig.model_validate({"address": address, "trusted_peers": trusted})

        async def serve() -> Callable[[], Awaitable[object]]:
            server = await start_milter(config, FakeGate(), on_error=lambda _, err: errors.append(err))
            return lambda: server.drain(1)

        with running(serve):
            return examine(doors.milter, milter=config.model_dump() | {"enabled": True})

    try:
        ((status, words),) = asked("127.0.0.0/8", "unix")
        assert (status, words.partition(" -> ")[0]) == ("ok", f"milter on {address} negotiates version 6")
        # The doctor takes leave as an MTA does: the service log has nothing to say.
        assert errors == []
        ((status, words),) = asked("192.0.2.0/24")
        assert (status, "not in milter.trusted_peers" in words) == ("warning", True)
        assert ("127.0.0.0/8" in words, '"unix"' in words) == (place == "port", place == "socket")
    finally:
        shutil.rmtree(folder)
    ((status, words),) = examine(doors.milter, milter={"enabled": True, "address": address})
    assert (status, "does not answer" in words) == ("broken", True)


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        (b"", "broken", "hangs up"),
        (b"\0\0\0\x01c", "broken", "something else"),
        (b"HTTP/1.1 400 Bad Request\r\n", "broken", "something else"),
        (b"\0\0\0\x0dO\0\0\0\x02\0\0\0\x11\0\0\0\0", "ok", "version 2"),
    ],
)
def test_what_comes_back_from_the_milters_port(said: bytes, status: str, words: str) -> None:
    assert_answer(doors.milter, "milter", said, status, words)


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        (b"9:NOTFOUND ,", "ok", "NOTFOUND"),
        (b"10:TEMP later,", "broken", "how an account stands"),
        (b"7:OK good,", "broken", "something else"),
        (b"", "broken", "does not answer"),
    ],
)
def test_what_comes_back_from_the_socketmaps_port(said: bytes, status: str, words: str) -> None:
    assert_answer(doors.socketmap, "socketmap", said, status, words)


def assert_answer(probe: Probe, section: str, said: bytes, status: str, words: str) -> None:
    """Ask a port that reads the question, says this and hangs up."""
    port = free_port()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(100)
            writer.write(said)
            writer.close()

    async def serve() -> Callable[[], Awaitable[object]]:
        server = await asyncio.start_server(talk, "127.0.0.1", port)

        async def end() -> None:
            server.close()

        return end

    where = {"address": f"inet:127.0.0.1:{port}"} if section == "milter" else {"port": port}
    with running(serve):
        ((found, text),) = examine(probe, **{section: {"enabled": True} | where})
    assert (found, words in text) == (status, True), text


def test_a_directory_of_another_user_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    ((status, words),) = examine(state.state_dir, node={"state_dir": str(tmp_path)})
    assert (status, "as the user filterd runs as" in words) == ("broken", True)
