"""An SMTP client that sends exactly the octets it is told to, over a raw socket, and can log in.  RFC 5321, RFC 4954.

`Sender` is a mail program on top: it delivers whole letters, opens a new connection when the old one is gone, and tries
again after a 4xx as a mail server would.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.kit.waiting import PATIENCE_S


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply. `code` 0: the other side hung up instead."""

    code: int
    text: str
    after: str = ""

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 400

    @property
    def enhanced(self) -> str:
        first = self.text.split(" ")[0]
        return first if first.count(".") == 2 else ""

    def __str__(self) -> str:
        return f"{self.code} {self.text}" + (f" (after {self.after})" if self.after else "")


GONE = Reply(code=0, text="connection lost")


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail and its envelope. `sender` "" is the null sender; parameters are put behind the command as they are."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    mail_parameters: str = ""
    rcpt_parameters: str = ""


class SmtpClient:
    """One connection; every wait ends after `patience_s`. `over`: a connection that is there already."""

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        source: str = "127.0.0.1",
        patience_s: float = PATIENCE_S,
        over: socket.socket | None = None,
    ):
        self._socket = over or socket.create_connection((host, port), timeout=patience_s, source_address=(source, 0))
        self._socket.settimeout(patience_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = self._socket.makefile("rb")
        self.greeting = self.reply()

    def __enter__(self) -> SmtpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._read.close()
        self._socket.close()

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def reply(self, after: str = "") -> Reply:
        """Read one reply; its lines parted by LF, without the codes."""
        lines = []
        try:
            while line := self._read.readline(1 << 16):
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                lines.append(text[4:])
                if text[3:4] != "-":
                    return Reply(code=int(text[:3]), text="\n".join(lines), after=after)
        except (ConnectionError, TimeoutError):
            pass
        return Reply(code=0, text=GONE.text, after=after)

    def ask(self, command: str | bytes) -> Reply:
        octets = command.encode("utf-8") if isinstance(command, str) else command
        verb = octets.split(b" ")[0].decode("ascii", "replace")
        try:
            self.send(octets + b"\r\n")
        except OSError:
            return Reply(code=0, text=GONE.text, after=verb)
        return self.reply(verb)

    def ehlo(self, name: str = "client.example") -> Reply:
        return self.ask(f"EHLO {name}")

    def starttls(self) -> Reply:
        """Go over to TLS. The certificate is the tests' own and is not looked at."""
        reply = self.ask("STARTTLS")
        if reply.is_positive:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._read.close()
            self._socket = context.wrap_socket(self._socket)
            self._read = self._socket.makefile("rb")
        return reply

    def login(self, name: str, password: str) -> Reply:
        """AUTH PLAIN with an initial response (RFC 4616)."""
        secret = base64.b64encode(b"\0".join([b"", name.encode(), password.encode()])).decode()
        return self.ask(f"AUTH PLAIN {secret}")

    def envelope(self, letter: Letter) -> list[Reply]:
        """MAIL and every RCPT; says all replies, and stops at a MAIL that is refused."""
        mail = self.ask(f"MAIL FROM:<{letter.sender}>{_behind(letter.mail_parameters)}")
        if not mail.is_positive:
            return [mail]
        rcpts = [self.ask(f"RCPT TO:<{to}>{_behind(letter.rcpt_parameters)}") for to in letter.recipients]
        return [mail, *rcpts]

    def data(self, raw: bytes) -> Reply:
        """DATA, the mail, the dot; says the reply to the dot, or to DATA when that is a refusal."""
        ready = self.ask("DATA")
        if ready.code != 354:
            return ready
        try:
            self.send(stuffed(raw) + b".\r\n")
        except OSError:
            return Reply(code=0, text=GONE.text, after="DATA")
        return self.reply(".")

    def deliver(self, letter: Letter) -> Reply:
        """A whole transaction: the last reply, or the first refusal. When only some recipients are refused, the mail
        goes to the others, as it would from a mail server."""
        mail, *rcpts = self.envelope(letter)
        if not mail.is_positive:
            return mail
        if not any(reply.is_positive for reply in rcpts):
            self.ask("RSET")
            return rcpts[0]
        last = self.data(letter.raw)
        if last.after == "DATA" and last.code:
            # Refused before the mail was sent: the transaction is still open.
            self.ask("RSET")
        return last

    def quit(self) -> None:
        self.ask("QUIT")
        self.close()


@dataclass
class Sender:
    """Who sends, and through which port; `login` None is a stranger. Keeps one connection as long as it lasts."""

    port: int
    login: str | None = None
    password: str = ""
    host: str = "127.0.0.1"
    source: str = "127.0.0.1"
    helo: str = "client.example"
    patience_s: float = PATIENCE_S
    # Every reply that settled or put off a letter, in order.
    replies: list[Reply] = field(default_factory=list)
    _client: SmtpClient | None = None

    def connect(self) -> SmtpClient:
        """The connection, greeted and logged in. Raises ConnectionError with the reply that was in the way."""
        if self._client is None:
            client = SmtpClient(self.port, host=self.host, source=self.source, patience_s=self.patience_s)
            steps = [lambda: client.greeting, lambda: client.ehlo(self.helo)]
            if self.login is not None:
                steps += [client.starttls, lambda: client.ehlo(self.helo)]
                steps.append(lambda: client.login(self.login or "", self.password))
            for step in steps:
                if not (reply := step()).is_positive:
                    client.close()
                    raise ConnectionError(str(reply))
            self._client = client
        return self._client

    def send(self, letter: Letter) -> Reply:
        """Try once; on a new connection when the other side has closed the old one before it took the letter."""
        for _ in range(2):
            is_new = self._client is None
            reply = self._once(letter)
            if is_new or not (reply.code in (0, 421) and reply.after != "."):
                break
        self.replies.append(reply)
        return reply

    def send_until_settled(
        self, letter: Letter, *, patience_s: float = PATIENCE_S, pause_s: float = 0.3
    ) -> list[Reply]:
        """Try until it is taken or refused for good; says the reply of each try. Raises TimeoutError."""
        deadline = time.monotonic() + patience_s
        tries: list[Reply] = []
        while True:
            tries.append(self.send(letter))
            if tries[-1].code // 100 in (2, 5):
                return tries
            if time.monotonic() > deadline:
                raise TimeoutError(f"not settled after {len(tries)} tries: {tries[-1]}")
            time.sleep(pause_s)

    def close(self) -> None:
        if self._client is not None:
            try:
                self._client.quit()
            finally:
                self._client = None

    def _once(self, letter: Letter) -> Reply:
        try:
            reply = self.connect().deliver(letter)
        except OSError as err:
            reply = Reply(code=0, text=str(err), after="CONNECT")
        if reply.code in (0, 421) and self._client is not None:
            self._client.close()
            self._client = None
        return reply


def send_all(senders: Sequence[Sender], letters: Iterable[Letter]) -> list[Reply]:
    """Deal the letters out to the senders, who all send at once; says the replies in the order of the letters."""
    numbered = list(enumerate(letters))
    piles = [numbered[n :: len(senders)] for n in range(len(senders))]

    def work(sender: Sender, pile: list[tuple[int, Letter]]) -> list[tuple[int, Reply]]:
        return [(number, sender.send(letter)) for number, letter in pile]

    with ThreadPoolExecutor(len(senders)) as pool:
        done = [pair for pairs in pool.map(work, senders, piles) for pair in pairs]
    return [reply for _, reply in sorted(done, key=lambda pair: pair[0])]


def stuffed(raw: bytes) -> bytes:
    """Protect lines that begin with a dot (RFC 5321 §4.5.2) and end the last line; nothing else is changed."""
    if raw and not raw.endswith(b"\r\n"):
        raw += b"\r\n"
    out = raw.replace(b"\r\n.", b"\r\n..")
    return b"." + out if out.startswith(b".") else out


def _behind(parameters: str) -> str:
    return f" {parameters}" if parameters else ""
