"""Charsets: octets and a label to text.  WHATWG Encoding for the labels that mean more than they say.

The labels are a closed list: Python's codec registry also knows zlib, punycode, idna, rot13 and undefined, and looking
a label up imports a module by that name. Decoding never raises and never yields a lone surrogate.
A label is a claim: text that is not of the declared charset but is good UTF-8 is read as UTF-8; a missing or unknown
label means UTF-8, else what the detector finds, else GB18030, else Windows-1252.
"""

from __future__ import annotations

import re
from encodings.aliases import aliases
from types import MappingProxyType
from typing import Final

from resiliparse.parse.encoding import detect_encoding

_NAMES = (
    "ascii utf_8 utf_7 utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le gb18030 big5hkscs hz euc_jp cp932 "
    "iso2022_jp_2 iso2022_kr cp949 johab latin_1 iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 "
    "iso8859_8 iso8859_9 iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16 cp1250 cp1251 cp1252 "
    "cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp437 cp720 cp737 cp775 cp850 cp852 cp855 cp857 cp858 cp860 cp861 "
    "cp862 cp863 cp864 cp865 cp866 cp869 cp874 cp1125 koi8_r koi8_u koi8_t kz1048 ptcp154 tis_620 mac_roman "
    "mac_cyrillic mac_greek mac_latin2 mac_turkish mac_iceland"
)
_CODECS = frozenset(_NAMES.split())
# The larger set that mailers mean by the smaller one's label.
_WIDER: Final = MappingProxyType(
    {
        "gb2312": "gb18030", "gbk": "gb18030", "euc_cn": "gb18030", "big5": "big5hkscs", "cp950": "big5hkscs",
        "shift_jis": "cp932", "euc_kr": "cp949", "iso2022_jp": "iso2022_jp_2", "iso2022_jp_1": "iso2022_jp_2",
        "tis_620": "cp874", "iso8859_11": "cp874", "latin_1": "cp1252", "iso8859_9": "cp1254",
    }
)  # fmt: skip
# Labels Python does not know.
_EXTRA: Final = MappingProxyType(
    {
        "gb_2312_80": "gb18030", "gb2312_80": "gb18030", "chinese": "gb18030", "windows_936": "gb18030",
        "hz_gb_2312": "hz", "big5_hkscs": "big5hkscs", "windows_31j": "cp932", "windows_949": "cp949",
        "ks_c_5601": "cp949", "ks_c_5601_1987": "cp949", "iso_8859_8_i": "iso8859_8", "ansi_x3.110_1983": "cp1252",
        "macintosh": "mac_roman", "x_mac_roman": "mac_roman", "utf8mb4": "utf_8", "unicode_1_1_utf_8": "utf_8",
        "unicode_1_1_utf_7": "utf_7",
    }
)  # fmt: skip
_WESTERN = frozenset({"ascii", "cp1252", "latin_1", "iso8859_15", "cp1254"})
# Codecs in which ASCII octets do not mean ASCII characters.
_WIDE = frozenset(codec for codec in _CODECS if codec.startswith(("utf_16", "utf_32")))
_NOT_ASCII = _WIDE | {"utf_7", "hz", "iso2022_jp_2", "iso2022_kr"}
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_HIGH = re.compile(rb"[\x80-\xff]")
# From the first octet over 127 on; the detector's verdict hardly gets better with more.
_DETECTOR_BYTES = 4_096
# A charset that fits these fits the rest.
_SAMPLE_BYTES = 65_536


def _labels() -> dict[str, str]:
    table = {codec: codec for codec in _CODECS}
    table |= {alias: codec for alias, codec in aliases.items() if codec in _CODECS}
    table |= {alias: _WIDER[codec] for alias, codec in aliases.items() if codec in _WIDER}
    table |= _WIDER
    return table | _EXTRA


_LABELS: Final = MappingProxyType(_labels())


def codec_of(label: str | None) -> str | None:
    """Give the codec for a declared label, or None for a missing, unknown or non-text one."""
    if not label or len(label) > 60:
        return None
    key = label.strip(" \t\"'").lower().replace("-", "_").replace(" ", "_")
    return _LABELS.get(key) or _LABELS.get(key.replace("windows_", "cp").removeprefix("x_").removeprefix("cs"))


def decode(data: bytes, declared: str | None = None) -> str:
    """Read octets as text. `declared` is the label as the mail gave it, or None."""
    return decode_saying(data, declared)[0]


def decode_saying(data: bytes, declared: str | None) -> tuple[str, str | None]:
    """Read octets as text; also a defect code, or None when the label was right or missing."""
    codec = codec_of(declared)
    if data.isascii() and codec not in _NOT_ASCII and (codec or b"\0" not in data):
        return data.decode("ascii"), None if codec or not declared else "text.charset.unknown"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _read(data, "utf_16", "replace"), None
    data = data.removeprefix(b"\xef\xbb\xbf")
    if codec is None:
        return _guess(data), "text.charset.unknown" if declared else None
    if codec in _WESTERN:
        return _western(data, codec)
    try:
        return _read(data, _by_zeros(data) if codec == "utf_16" else codec, "strict"), None
    except (UnicodeError, ValueError):
        return _broken(data, codec), "text.charset.broken"


def _read(data: bytes, codec: str, errors: str) -> str:
    text = data.decode(codec, errors)
    return _LONE_SURROGATE.sub("\ufffd", text) if codec in _NOT_ASCII else text


def _western(data: bytes, codec: str) -> tuple[str, str | None]:
    try:
        return data.decode("utf-8"), "text.charset.broken"
    except UnicodeDecodeError:
        pass
    # European text has few octets over 127; where a third are, the label is a mailer's default.
    high = len(data) - len(data.translate(None, bytes(range(128, 256))))
    if codec == "ascii" or high * 3 > len(data):
        return _guess(data), "text.charset.broken"
    try:
        return data.decode(codec), None
    except UnicodeDecodeError:
        return data.decode("latin-1"), None


def _broken(data: bytes, codec: str) -> str:
    """Keep the declared charset when little is wrong, else read the octets as what they look like."""
    return _read(data, codec, "replace") if _is_mostly(data, codec) else _guess(data)


def _guess(data: bytes) -> str:
    if data.count(0) * 4 > len(data):
        return _read(data, _by_zeros(data), "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    high = _HIGH.search(data)
    start = high.start() if high else 0
    for codec in (codec_of(detect_encoding(data[start : start + _DETECTOR_BYTES])), "gb18030"):
        if codec and _is_mostly(data, codec):
            return _read(data, codec, "replace")
    return data.decode("latin-1")


def _is_mostly(data: bytes, codec: str) -> bool:
    """Say whether at most every twentieth character of a sample is wrong in a charset."""
    text = data[:_SAMPLE_BYTES].decode(codec, "replace")
    return text.count("\ufffd") * 20 <= len(text)


def _by_zeros(data: bytes) -> str:
    """Say the octet order of UTF-16 without a mark: in most text the high octets are the zeros."""
    return "utf_16_le" if data[1::2].count(0) > data[::2].count(0) else "utf_16_be"
