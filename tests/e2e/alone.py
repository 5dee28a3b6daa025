"""Run inside a network of its own, where nothing but the machine itself can be reached: filterd as it comes, and mail.

    unshare --map-root-user --net --mount python -m tests.e2e.alone FOLDER [key=value …]

Says as JSON how often the kernel was asked for a way out of the machine (`out`), which is every connection and every
datagram to anybody else, by whatever library; and what became of the mail. At the end it tries for itself (`proof`).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import smtplib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 180.0
_PORT = 10025
_IFREQ = struct.Struct("16sH14x")
_SIOCSIFFLAGS, _UP = 0x8914, 0x1
OUTSIDE = (("198.51.100.9", socket.AF_INET), ("2001:db8::9", socket.AF_INET6))

# What could make somebody ask outside: SPF of a client and a HELO, DKIM, ARC and DMARC of a domain, links with and
# without a shortener, a picture that is fetched, a receipt that is wanted, a report address, files.
LETTER = """\
DKIM-Signature: v=1; a=rsa-sha256; d=stranger.example; s=s1; h=from;
 bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA
ARC-Seal: i=1; a=rsa-sha256; d=arc.example; s=s1; cv=none; b=AAAA
Disposition-Notification-To: <spy@stranger.example>
From: "Bank" <boss{n}@stranger.example>
To: <bob@here.example>
Subject: letter {n}
Message-ID: <{n}@stranger.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html

<a href="http://bit.ly/abc">click</a> <img src="http://track.example/p.gif?bob@here.example">
<a href="http://bank.example.evil.example/login">https://bank.example/</a>
--b
Content-Type: application/zip; name="a.zip"
Content-Transfer-Encoding: base64

UEsDBAoAAAAAAAAAAACMYqnZAwAAAAMAAAAFAAAAYS5leGVhYmNQSwUGAAAAAAAAAAAAAAAAAAAA
--b--
"""


def ways_out() -> int:
    """Say how often this network was asked for a route that it has not: IPv4 and IPv6."""
    head, values = (line.split()[1:] for line in re.findall("^Ip: .*$", Path("/proc/net/snmp").read_text(), re.M))
    six = re.search(r"^Ip6OutNoRoutes\s+(\d+)", Path("/proc/net/snmp6").read_text(), re.M)
    assert six is not None
    return int(values[head.index("OutNoRoutes")]) + int(six[1])


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _IFREQ.pack(b"lo", _UP))


def resolve_here(folder: Path) -> None:
    """Give the machine a resolver of its own, which is what filterd asks; nobody listens."""
    own = folder / "resolv.conf"
    own.write_text("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", str(own), "/etc/resolv.conf"], check=True)


def wait_until(what: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        if process.poll() is not None:
            raise SystemExit(f"filterd has ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise SystemExit("it takes for ever")
        time.sleep(0.1)


def listens() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", _PORT)) == 0


def decided(folder: Path) -> list[dict[str, object]]:
    lines = [line for file in (folder / "state" / "events").rglob("*.jsonl") for line in file.read_bytes().splitlines()]
    return [x for line in lines if line.endswith(b"}") and (x := json.loads(line)).get("event") == "decided"]


def send(number: int) -> int:
    """Hand in one mail of a stranger, as the MTA before us would; say what was answered."""
    with smtplib.SMTP("127.0.0.1", _PORT, timeout=PATIENCE_S) as client:
        client.ehlo("mx.here.example")
        client.docmd("XFORWARD", "NAME=mail.stranger.example ADDR=198.51.100.77 HELO=helo.stranger.example")
        client.mail(f"boss{number}@stranger.example")
        client.rcpt("bob@here.example")
        return client.data(LETTER.format(n=number).replace("\n", "\r\n").encode())[0]


def main(folder: Path, tables: str, workers: str) -> None:
    loopback_up()
    resolve_here(folder)
    before = ways_out()
    config = folder / "filterd.toml"
    config.write_text(f'[node]\nstate_dir = "{folder / "state"}"\n{tables}')
    command = [sys.executable, "-m", "filterd", "serve", "--config", str(config), "--workers", workers]
    with (folder / "filterd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(listens, process)
        codes = [send(number) for number in range(3)]
        wait_until(lambda: len(decided(folder)) >= len(codes), process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    out = ways_out() - before
    for address, family in OUTSIDE:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect_ex((address, 53))
    checks = sorted({str(c["check"]) for mail in decided(folder) for c in mail["checks"]})  # type: ignore[attr-defined]
    print(json.dumps({"out": out, "proof": ways_out() - before - out, "codes": codes, "checks": checks}))


if __name__ == "__main__":
    os.environ.pop("FILTERD_CONFIG", None)
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
