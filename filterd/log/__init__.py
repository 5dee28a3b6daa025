"""What happened?  The event stream for machines and the service log for people.  HOUSE rule 15, STYLE 7.

`Log` has one function a business event (`events`); every decision can be explained and replayed from what it writes.
Both hold ids, codes, numbers and keyed hashes, never a word of the mail nor the address of a person (`facts`, `safe`).
"""

from filterd.log.entries import EntryFeed
from filterd.log.events import EVENTS, Log
from filterd.log.facts import message_id_hashes, pseudonym
from filterd.log.read import events_about, read_events, stream_files
from filterd.log.service import service_log, set_up
from filterd.log.stream import EventStream

__all__ = [
    "EVENTS",
    "EntryFeed",
    "EventStream",
    "Log",
    "events_about",
    "message_id_hashes",
    "pseudonym",
    "read_events",
    "service_log",
    "set_up",
    "stream_files",
]
