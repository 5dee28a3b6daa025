"""The node's keys, as commands find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filterd.cli.places import key_of

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.ports import Keys


def keys_of(config: Config, given: str | None = None) -> Keys:
    """Read the master key of a node, or the one that is given as a file, `env:NAME` or `command:…`.

    Raises ModelError when there is none: a command never makes one.
    """
    from filterd.clients.key_source import find_keys

    return find_keys(given or config.keys.master, key_of(config), may_create=False)
