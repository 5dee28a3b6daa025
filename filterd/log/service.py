"""The service log: for people, on standard error.  STYLE 7, FAULTS rows 53 and 70.

One line a transaction at INFO. Nothing here ever prints the text of an exception, a traceback or the arguments of a
library's message: they may quote the mail or a password.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import orjson
import structlog

from filterd.log.safe import safe, safe_text

LEVELS = ("debug", "info", "warning", "error")


def set_up(level: str = "info", json: bool = False, stream: TextIO | None = None) -> None:
    """Say where and how much the service log writes; call once a process, before anything logs.

    Args:
        level: one of LEVELS, for filterd's own lines. Libraries are heard from WARNING on, whatever it says: at DEBUG
            an SMTP library prints AUTH commands.
        json: objects, one a line, instead of key=value.
        stream: None for standard error.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    out = stream or sys.stderr
    renderer: structlog.typing.Processor
    if json:
        renderer = structlog.processors.JSONRenderer(serializer=_json)
    else:
        renderer = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _safe,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=out),
    )
    root = logging.getLogger()
    root.handlers = [_Library()]
    root.setLevel(logging.WARNING)


def service_log() -> structlog.typing.FilteringBoundLogger:
    """Say the logger: `service_log().warning("scanner_away", tx=…)`. The event is a code, values are ids, numbers."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("filterd")
    return logger


class _Library(logging.Handler):
    """What libraries log: who, the first line of the pattern without its arguments, and the kind of error."""

    def emit(self, record: logging.LogRecord) -> None:
        text = str(record.msg).partition("\n")[0]
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        say = service_log().error if record.levelno >= logging.ERROR else service_log().warning
        say("library", logger=record.name, text=safe_text(text, 120), error=kind)


def _safe(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for never in ("exc_info", "stack_info", "exception"):
        fields.pop(never, None)
    said: dict[str, Any] = safe(fields)
    return said


def _json(fields: Any, **_options: Any) -> str:
    return orjson.dumps(fields).decode()
