"""The exception tree. What mail can do is a value (Verdict, defects); what the world or we did is an exception.

Public reply text never carries the text of one of these: detail goes to the log.
"""

from __future__ import annotations

from pathlib import Path


class FilterdError(Exception):
    """Root of everything filterd raises on purpose."""


class ConfigError(FilterdError):
    """A file an operator wrote is wrong. The text names file, line and key.

    Args:
        message: what is wrong and what would be right.
        file: the file, or None for a value given on the command line.
        line: 1-based line in `file`, or None when the key is missing altogether.
        key: dotted path, for example `listener.0.port`.
    """

    def __init__(
        self, message: str, *, file: str | Path | None = None, line: int | None = None, key: str | None = None
    ):
        self.message, self.file, self.line, self.key = message, file, line, key
        where = str(file) if file is not None else "command line"
        if line is not None:
            where += f":{line}"
        super().__init__(f"{where}: {key}: {message}" if key else f"{where}: {message}")


class UsageError(FilterdError):
    """We called something wrongly, or a person asked for what cannot be done. A bug, or a message for the CLI."""


class RefusedError(UsageError):
    """A person asked for an act that the agreement or the staffing rules do not allow; the text says which rule."""


class PeerError(FilterdError):
    """The other end broke its protocol (RFC 5321, clamd, policy delegation, the ledger link)."""


class PortError(FilterdError):
    """Something outside did not do its work.

    Args:
        temporary: True when trying again later may succeed; a mail waits with 451.
    """

    def __init__(self, message: str, *, temporary: bool = True):
        super().__init__(message)
        self.temporary = temporary


class DnsBudgetSpent(PortError):
    """One message asked for more DNS answers, or more time, than a message gets. Never a finding against its sender."""


class LedgerUnavailable(PortError):
    """The ledger process cannot be reached or cannot commit."""


class ModelError(FilterdError):
    """A model, key or policy artefact is missing, corrupt or of the wrong version. Names file and reason."""
