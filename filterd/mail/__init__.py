"""Bytes to meaning and back: lines, addresses, header fields, MIME, text, links, fingerprints, header edits, notices.

Everything here is pure: no I/O, no clock, no logging. Bad mail is a value (`Message.defects`), never an exception;
what a peer said wrongly in a command is a `PeerError`.
"""
