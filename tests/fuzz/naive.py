"""Readers of the same octets, written from the descriptions alone, without a thought for speed or for pieces.

Each says what it has read as plain tuples and texts, or raises Broken. They import nothing of filterd.
"""

from __future__ import annotations

import ipaddress
import re
import string

MILTER_MOST = 1_048_577


class Broken(Exception):
    """No such thing in these octets."""


# --- milter (libmilter) -----------------------------------------------------------------------------------------------


def milter(octets: bytes) -> list[tuple[object, ...]]:
    """Say the packets that are whole."""
    found: list[tuple[object, ...]] = []
    while len(octets) >= 4:
        length = int.from_bytes(octets[:4], "big")
        if not 0 < length <= MILTER_MOST:
            raise Broken("length")
        if len(octets) < 4 + length:
            break
        found.append(_milter_command(octets[4:5].decode("latin-1"), octets[5 : 4 + length]))
        octets = octets[4 + length :]
    return found


def _milter_command(letter: str, data: bytes) -> tuple[object, ...]:
    if letter in "TNAQK":
        return (letter,)
    if letter in "BE":
        return letter, data
    if letter == "U":
        return letter, data[:-1] if data.endswith(b"\0") else data
    if letter == "O":
        if len(data) < 12:
            raise Broken("short offer")
        version, actions, steps = (int.from_bytes(data[i : i + 4], "big") for i in (0, 4, 8))
        if version < 2:
            raise Broken("version")
        return letter, version, actions & 0x1FF, steps & 0x1FFFFF
    if letter == "D":
        if not data:
            raise Broken("no stage")
        words = _texts(data[1:])
        if len(words) % 2:
            raise Broken("no value")
        values = {}
        for i in range(0, len(words), 2):
            name = words[i].decode("ascii", "replace")
            if name[:1] == "{" and name[-1:] == "}":
                name = name[1:-1]
            values[name] = words[i + 1]
        return letter, chr(data[0]), tuple(sorted(values.items()))
    if letter == "C":
        at = data.find(b"\0")
        if at < 0 or at + 1 >= len(data):
            raise Broken("short")
        name, family, rest = data[:at], chr(data[at + 1]), data[at + 2 :]
        if family == "U":
            return letter, name, family, 0, b""
        if family not in ("4", "6", "L") or len(rest) < 2:
            raise Broken("family")
        words = _texts(rest[2:])
        if len(words) != 1:
            raise Broken("address")
        return letter, name, family, int.from_bytes(rest[:2], "big"), words[0]
    if letter == "L":
        at = data.find(b"\0")
        if at < 1 or not data.endswith(b"\0") or at == len(data) - 1:
            raise Broken("field")
        return letter, data[:at], data[at + 1 : -1]
    if letter in ("H", "M", "R"):
        words = _texts(data)
        if not words or (letter == "H" and len(words) != 1):
            raise Broken("arguments")
        return (letter, *words)
    raise Broken("letter")


def _texts(data: bytes) -> list[bytes]:
    if not data:
        return []
    words = data.split(b"\0")
    if words.pop() != b"" or len(words) > 200:
        raise Broken("text")
    return words


# --- SMTP: the end of data, and paths (RFC 5321) ----------------------------------------------------------------------


def data(octets: bytes) -> tuple[bytes, bytes] | None:
    """Say content and rest of what follows 354; None while the end is not there.  §4.1.1.4, §4.5.2."""
    content, at = b"", 0
    while True:
        end = octets.find(b"\r\n", at)
        if end < 0:
            return None
        line, at = octets[at : end + 2], end + 2
        if line == b".\r\n":
            return content, octets[at:]
        content += line[1:] if line.startswith(b".") else line


_ATEXT = set((string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~").encode())
_LETDIG = set((string.ascii_letters + string.digits + "_").encode())


def mailbox(path: bytes) -> tuple[str, str]:
    """Read `<local@domain>` without SMTPUTF8; says local part and domain as they are written.  §4.1.2, §4.5.3.1."""
    if len(path) > 256 or path[:1] != b"<" or path[-1:] != b">" or not path.isascii():
        raise Broken("path")
    inner = path[1:-1]
    if inner[:1] == b'"':
        at = 1
        while at < len(inner) and inner[at : at + 1] != b'"':
            octet = inner[at]
            if octet == 0x5C:
                at += 1
                octet = inner[at] if at < len(inner) else 0
            if not 32 <= octet <= 126:
                raise Broken("quoted")
            at += 1
        local, rest = inner[: at + 1], inner[at + 1 :]
        if not local.endswith(b'"') or len(local) < 2:
            raise Broken("quoted")
    else:
        local, _, rest = inner.partition(b"@")
        rest = b"@" + rest if b"@" in inner else b""
        if not all(atom and set(atom) <= _ATEXT for atom in local.split(b".")):
            raise Broken("atom")
    if not rest.startswith(b"@") or len(local) > 64:
        raise Broken("local part")
    return local.decode(), _domain(rest[1:])


def _domain(domain: bytes) -> str:
    if len(domain) > 255:
        raise Broken("domain")
    if domain[:1] == b"[" and domain[-1:] == b"]":
        text = domain[1:-1].decode()
        try:
            if text[:5].lower() == "ipv6:":
                ipaddress.IPv6Address(text[5:])
                if "%" in text:
                    raise Broken("zone")
            else:
                ipaddress.IPv4Address(text)
        except ValueError:
            raise Broken("literal") from None
        return domain.decode().lower()
    for label in domain.split(b"."):
        inner = set(label[1:-1]) - set(b"-")
        if not label or len(label) > 63 or not {label[0], label[-1]} <= _LETDIG or not inner <= _LETDIG:
            raise Broken("label")
    return domain.decode().lower()


# --- PROXY (HAProxy), socketmap and policy (Postfix) ------------------------------------------------------------------


def proxy(octets: bytes) -> tuple[int, str | None, int | None] | None:
    """Say size, address and port; None while the header is not whole."""
    signature = bytes.fromhex("0d0a0d0a000d0a515549540a")
    if octets[:12] == signature[: len(octets[:12])]:
        if len(octets) < 16:
            return None
        length = int.from_bytes(octets[14:16], "big")
        if octets[12] not in (0x20, 0x21) or length > 4096:
            raise Broken("version 2")
        if len(octets) < 16 + length:
            return None
        if octets[12] == 0x20 or octets[13] == 0:
            return 16 + length, None, None
        if octets[13] not in (0x11, 0x21):
            raise Broken("family")
        wide = 4 if octets[13] == 0x11 else 16
        if length < 2 * wide + 4:
            raise Broken("short")
        port = int.from_bytes(octets[16 + 2 * wide : 18 + 2 * wide], "big")
        return 16 + length, str(ipaddress.ip_address(octets[16 : 16 + wide])), port
    if octets[:6] != b"PROXY "[: len(octets[:6])]:
        raise Broken("no header")
    line, end, _ = octets[:107].partition(b"\r\n")
    if not end:
        if len(octets) >= 107:
            raise Broken("long")
        return None
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return len(line) + 2, None, None
    words = line.decode("latin-1").split(" ")
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise Broken("line")
    kind = ipaddress.IPv4Address if words[1] == "TCP4" else ipaddress.IPv6Address
    try:
        source, _ = kind(words[2]), kind(words[3])
    except ValueError:
        raise Broken("address") from None
    if "%" in words[2] + words[3]:
        raise Broken("zone")
    for port in words[4:]:
        if not re.fullmatch(r"0|[1-9][0-9]{0,4}", port) or int(port) > 65_535:
            raise Broken("port")
    return len(line) + 2, str(source), int(words[4])


def socketmap(octets: bytes) -> tuple[bytes, bytes, int] | None:
    """Say map, key and size of the first netstring; None while it is not whole."""
    if not octets:
        return None
    if re.fullmatch(rb"[0-9]{1,4}", octets):
        return None
    head = re.match(rb"(0|[1-9][0-9]{0,3}):", octets)
    if head is None or int(head[1]) > 4096:
        raise Broken("length")
    size = int(head[1])
    text, after = octets[head.end() : head.end() + size], octets[head.end() + size :]
    if not after:
        return None
    name, blank, key = text.partition(b" ")
    if after[:1] != b"," or not blank or not name or not name.isascii():
        raise Broken("netstring")
    return name, key, head.end() + size + 1


def policy(octets: bytes) -> dict[str, bytes]:
    """Read one request, which ends with an empty line."""
    lines = octets[:-2].split(b"\n") if octets.endswith(b"\n\n") else octets.split(b"\n")
    if len(lines) > 200:
        raise Broken("many")
    found = {}
    for line in lines:
        at = line.find(b"=")
        if at < 1 or not all(33 <= octet <= 126 for octet in line[:at]) or 0 in line:
            raise Broken("attribute")
        found[line[:at].decode()] = line[at + 1 :]
    if found.get("request") != b"smtpd_access_policy":
        raise Broken("request")
    return found
