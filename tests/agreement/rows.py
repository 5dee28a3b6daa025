"""Rows and files of one account, with what a test does not speak of filled in.  STANDING 5.2."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from filterd.model import records as r
from filterd.model.sanction import Feature, Rung
from filterd.model.standing import History, IncidentFile, SanctionFile

T0 = datetime(2026, 3, 2, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
SENDING, BULK, LINKS = Feature(name="sending"), Feature(name="bulk"), Feature(name="links")


def opened(incident_id: str = "i_1", **changes: Any) -> r.IncidentOpened:
    said: dict[str, Any] = {
        "at": T0,
        "incident_id": incident_id,
        "account_id": "a_1",
        "tenant_id": "n_1",
        "family": "spam",
        "evidence_key": f"e_{incident_id}",
        "is_after_notice": False,
        "is_first": False,
    }
    return r.IncidentOpened(**(said | changes))


def strike(incident_id: str = "i_1", **changes: Any) -> r.StrikeIssued:
    """A final strike of two points in mode A, which counts for 90 days."""
    said: dict[str, Any] = {
        "at": T0,
        "strike_id": f"k_{incident_id}",
        "incident_id": incident_id,
        "decision_id": f"d_{incident_id}",
        "category": "spam.outbound",
        "severity": 2,
        "a_half_points": 4,
        "b_half_points": 0,
        "provisional_until": None,
        "provisional_cap": 0,
        "expires_at": T0 + 90 * DAY,
    }
    return r.StrikeIssued(**(said | changes))


def imposed(rung: Rung = Rung.SUSPEND, **changes: Any) -> r.SanctionImposed:
    """An automatic sanction of a week, unconfirmed."""
    incident_id = changes.get("incident_id", "i_1")
    said: dict[str, Any] = {
        "at": T0,
        "sanction_id": f"s_{incident_id}",
        "incident_id": incident_id,
        "decision_id": f"d_{incident_id}",
        "account_id": "a_1",
        "rung": rung,
        "step": 3,
        "features": (BULK,) if rung is Rung.RESTRICT else (),
        "category": "spam.outbound",
        "clauses": ("3.6",),
        "starts_at": T0,
        "ends_at": T0 + 7 * DAY,
        "lapses_at": None,
        "step_down_features": (LINKS,),
        "is_automatic": True,
        "by": "system",
        "warranted": rung,
    }
    return r.SanctionImposed(**(said | changes))


def replayed(at: datetime, rung: Rung, **changes: Any) -> r.SanctionReplayed:
    said: dict[str, Any] = {
        "at": at,
        "sanction_id": "s_i_1",
        "incident_id": "i_1",
        "because": "i_0",
        "rung": rung,
        "step": 1,
        "features": (BULK,),
        "ends_at": None,
    }
    return r.SanctionReplayed(**(said | changes))


def hold(hold_id: str = "h_1", **changes: Any) -> r.HoldPlaced:
    """An open hold of sending, for an indicator."""
    said: dict[str, Any] = {
        "at": T0,
        "hold_id": hold_id,
        "incident_id": "i_1",
        "account_id": "a_1",
        "features": (SENDING,),
        "starts_at": T0,
        "ends_at": None,
        "because": "indicators",
        "by": "system",
        "indicators": ("client.new",),
    }
    return r.HoldPlaced(**(said | changes))


def objection(at: datetime, about: str = "s_i_1", **changes: Any) -> r.ObjectionFiled:
    said: dict[str, Any] = {
        "at": at,
        "appeal_id": f"p_{about}",
        "sanction_id": about,
        "incident_id": "i_1",
        "account_id": "a_1",
        "channel": "link",
    }
    return r.ObjectionFiled(**(said | changes))


def notice(at: datetime, *incident_ids: str, **changes: Any) -> r.NoticeSent:
    said: dict[str, Any] = {
        "at": at,
        "notice_id": f"m_{at:%m%d%H%M%S}",
        "account_id": "a_1",
        "incident_ids": incident_ids,
        "template": "warning",
        "languages": ("en",),
        "channel": "mail",
        "outcome": "accepted",
        "deemed_at": at,
        "body_digest": "",
    }
    return r.NoticeSent(**(said | changes))


def incident(incident_id: str = "i_1", at: datetime = T0, **changes: Any) -> IncidentFile:
    """An incident in mode A with its strike. `strike` None: without one."""
    given = changes.pop("strike", strike(incident_id, at=at, expires_at=at + 90 * DAY))
    said: dict[str, Any] = {"families": frozenset({"spam"}), "recipients": (("spam.outbound", 1, 1),)}
    return IncidentFile(opened=opened(incident_id, at=at), strike=given, **(said | changes))


def sanction(rung: Rung = Rung.SUSPEND, **changes: Any) -> SanctionFile:
    """A sanction's file; what is no field of the file is one of the row that imposed it."""
    of_file = {key: changes.pop(key) for key in list(changes) if key in SanctionFile.__dataclass_fields__}
    return SanctionFile(imposed=imposed(rung, **changes), **of_file)


def history(*files: IncidentFile | SanctionFile | r.HoldPlaced, further: tuple[r.Record, ...] = ()) -> History:
    return History(
        account_id="a_1",
        incidents=tuple(x for x in files if isinstance(x, IncidentFile)),
        sanctions=tuple(x for x in files if isinstance(x, SanctionFile)),
        holds=tuple((x, None) for x in files if isinstance(x, r.HoldPlaced)),
        further=further,
    )
