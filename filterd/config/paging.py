"""`[paging]`: who is called when something cannot wait for the morning (STANDING 5.3, S4; 5.7-25)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from filterd.config.section import Seconds, Section


class PagingConfig(Section):
    """`[paging]`: whoever is on call is called for what is urgent, again and again until a person has it in hand."""

    command: tuple[str, ...] = Field((), description="Gets the page as JSON on standard input; no shell.")
    url: str | None = Field(None, pattern=r"^https?://", description="Or it is posted there. Redirects are refused.")
    secret_file: Path | None = Field(None, description="Signs what is posted (Standard Webhooks, HMAC-SHA256).")
    timeout_s: Seconds = Field(20, description="For one page.")
    repeat_s: Seconds = Field(600, description="A page nobody has answered is sent again after so long.")
    hotline_en: str = Field(
        "", max_length=500, description="Where help is found, for users who may harm themselves; filterd knows none."
    )
    hotline_zh: str = Field("", max_length=500, description="The same in Chinese.")

    @property
    def enabled(self) -> bool:
        return bool(self.command) or self.url is not None

    @model_validator(mode="after")
    def _one_way(self) -> PagingConfig:
        if self.command and self.url is not None:
            raise ValueError("give either command or url: who is called twice does not know for what")
        if self.secret_file is not None and self.url is None:
            raise ValueError("secret_file signs what is posted: it needs url")
        return self
