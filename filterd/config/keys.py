"""`[keys]`: where the master key comes from."""

from __future__ import annotations

from pydantic import Field, field_validator

from filterd.config.section import Section


class KeysConfig(Section):
    """`[keys]`: the one key that everything else is derived from; back it up apart from the state directory."""

    master: str | None = Field(
        None,
        description="`file:/path`; `env:NAME`, which holds 64 hex digits; or `command:/path argument…`, which is run"
        " once at start, without a shell, and prints the key. None: `master.key` in `node.state_dir`, made at the first"
        " start.",
    )

    @field_validator("master")
    @classmethod
    def _is_known(cls, master: str | None) -> str | None:
        kind, _, rest = (master or "file:/").partition(":")
        if kind not in ("file", "env", "command") or not rest:
            raise ValueError("is neither file:/path nor env:NAME nor command:/path")
        if kind in ("file", "command") and not rest.startswith("/"):
            raise ValueError("needs an absolute path")
        return master
