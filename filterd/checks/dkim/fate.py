"""What became of a signature: one word of RFC 8601 §2.7.1 for each of the ways in which RFC 6376 §6.1 can end.

`neutral` is for signatures nobody can read, `permerror` for keys that are not there or not usable, `policy` for good
cryptography that we do not take, `fail` for what was checked and is wrong.
"""

from __future__ import annotations

from enum import Enum


class Fate(Enum):
    """`word` is the result, `comment` says why in English for the header; the name in lower case is the code."""

    PASS = ("pass", "")
    SYNTAX = ("neutral", "signature syntax error")
    ALGORITHM = ("neutral", "unknown algorithm")
    QUERY = ("neutral", "unknown query method")
    DNS = ("temperror", "no answer for the key")
    DNS_BUDGET = ("temperror", "too many DNS questions for one mail")
    NO_KEY = ("permerror", "no key for signature")
    KEY_SYNTAX = ("permerror", "key syntax error")
    KEY_REVOKED = ("permerror", "key revoked")
    KEY_TYPE = ("permerror", "key is of another type")
    KEY_SERVICE = ("permerror", "key is not for mail")
    FROM_UNSIGNED = ("fail", "From is not signed")
    FROM_ADDED = ("fail", "more From fields than signed")
    IDENTITY = ("fail", "i= is not of the domain in d=")
    EXPIRED = ("fail", "signature expired")
    FUTURE = ("fail", "signed in the future")
    LENGTH = ("fail", "body is shorter than l=")
    BODY_HASH = ("fail", "body hash did not verify")
    SIGNATURE = ("fail", "signature did not verify")
    PARTIAL = ("policy", "part of the body is not signed")
    SHA1 = ("policy", "rsa-sha1 is not accepted")
    KEY_WEAK = ("policy", "key is too short")
    KEY_LARGE = ("policy", "key is too large")
    UNREAD = ("policy", "header is too long to be read whole")
    PUBLIC_SUFFIX = ("policy", "d= is a public suffix")

    @property
    def word(self) -> str:
        return self.value[0]

    @property
    def comment(self) -> str:
        return self.value[1]

    @property
    def code(self) -> str:
        return self.name.lower()
