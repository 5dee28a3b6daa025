"""The operator's choices that the walk of a mail depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from filterd.agreement.protection import InboundChoices
from filterd.model.sanction import Preset
from filterd.pipeline.attribution import AttributionRule
from filterd.pipeline.locked import Keeping
from filterd.pipeline.reach import Reach
from filterd.pipeline.replies import ReplyStyle
from filterd.pipeline.signing import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRule:
    """What the pipeline must know of a listener. `authserv_id`: our name in Authentication-Results (RFC 8601);
    `is_selective`: one recipient can be refused and another taken."""

    attribution: AttributionRule
    direction: Literal["auto", "outbound", "inbound"] = "auto"
    is_after_queue: bool = False
    authserv_id: str | None = None
    is_selective: bool = True


_AS_SHIPPED = InboundChoices()
_NO_KEYS = Signer()
_WHOLE = Keeping()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What holds for all mail, and by its name for each listener. `report_address`: where delivery reports about our
    notices come to, None when nowhere. `keeping`: how much of a mail goes into a sealed case."""

    listeners: Mapping[str, ListenerRule]
    reach: Reach
    style: ReplyStyle
    preset: Preset
    inbound: InboundChoices = _AS_SHIPPED
    report_address: str | None = None
    signer: Signer = _NO_KEYS
    keeping: Keeping = _WHOLE
