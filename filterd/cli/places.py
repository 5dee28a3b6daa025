"""Where things are: the configuration a command works with, and the person's token."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from filterd.errors import ConfigError

if TYPE_CHECKING:
    from filterd.config import Config

# In the state directory. The composition root uses the same names; importing it here would cost every command a second.
SOCKET_NAME = "ledger.sock"
KEY_NAME = "master.key"
EVENTS_NAME = "events"
BYPASS_NAME = "bypass.json"


def load_config(file: Path | None, state_dir: Path | None = None) -> Config:
    """Read a configuration, or the embedded one for None. Raises ConfigError with file, line and key."""
    from filterd.config import load

    config = load(file)
    if state_dir is not None:
        config = config.model_copy(update={"node": config.node.model_copy(update={"state_dir": state_dir})})
    return config


def socket_of(config: Config) -> Path:
    return config.node.state_dir / SOCKET_NAME


def key_of(config: Config) -> Path:
    return config.node.state_dir / KEY_NAME


def events_of(config: Config) -> Path:
    return config.node.state_dir / EVENTS_NAME


def bypass_of(config: Config) -> Path:
    return config.node.state_dir / BYPASS_NAME


def find_token(given: str | None) -> str | None:
    """Say the token: as given, else what the person's own file holds, else None.

    Raises:
        ConfigError: the file is there and cannot be read, or others can read it too.
    """
    if given:
        return given.strip()
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    file = Path(home) / "filterd" / "token"
    try:
        if file.stat().st_mode & 0o077:
            raise ConfigError("others can read this token; chmod 0600", file=file)
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError("the token cannot be read", file=file) from err
