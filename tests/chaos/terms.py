"""The agreement of the campaign: five kinds of breach, each an incident of its own, and a ladder of four steps.

Every kind is found without a model, so that a node starts fast. All are zero tolerance: then no grace keeps an account
on its step (STANDING 5.3), and five breaches within a minute climb the whole ladder, each with its notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

AGREEMENT = "chaos"
# Listed in the feed of the campaign.
BAD_HOST = "listed.example"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of breach: the finding that shows it, and whether such mail is refused or marked and relayed."""

    name: str
    finding: str
    is_refused: bool


# In the order in which an account commits them; the last one suspends it.
KINDS: tuple[Kind, ...] = (
    Kind(name="feed", finding="link.feed.match", is_refused=False),
    Kind(name="address", finding="link.host.address", is_refused=False),
    Kind(name="program", finding="attachment.type.blocked", is_refused=True),
    Kind(name="userinfo", finding="link.userinfo.present", is_refused=False),
    Kind(name="macro", finding="attachment.macro.present", is_refused=True),
)

# A first strike of zero tolerance is provisional and counts for a warning only, so the second incident warns once more;
# then one step each.
STEPS = len(KINDS) - 1

_HEAD = """\
id = "chaos"
version = "1"
effective_from = 2026-01-01T00:00:00+00:00
enforcing_party = "provider"
timezone = "UTC"
languages = ["zh-Hans", "en"]
title = { en = "Terms of the campaign", zh-Hans = "演练协议" }
sanction_ground = ["1"]
probation_days = 30

[points]
by_severity = { S1 = 1, S2 = 2, S3 = 4 }
after_notice = 1
unattested_cap = 2
provisional_hours = 72
counts_days = { S1 = 90, S2 = 180, S3 = 365 }

[incident]
window_hours = 24
close_after_notice_hours = 1
grace_hours = { S1 = 24, S2 = 4, S3 = 1 }
hold_hours = 24
task_due_hours = 24
objection_hours = 24

[[ladder]]
at = 0.5
rung = "warn"

[[ladder]]
at = 2
rung = "restrict"
hours = 24

[[ladder]]
at = 3
rung = "restrict"
hours = 48

[[ladder]]
at = 4
rung = "suspend"
hours = 168

# Held mail is decided on within these; none of the clocks rings within a campaign.
[lifecycle]
at_expiry = "ended"
keep_days = 30
termination_keep_days = 30
inbound_wait_days = 3
reading_hours = 24
shutdown_notice_days = 30
complaint_hours = 2
hold_decision_hours = 2
outbound_hold_hours = 24
inbound_hold_days = 30
inbound_digest_days = 3
cure_answer_days = 3
cooling_off_days = 7
relook_days = 30
appeal_days = 180
appeal_warning_days = 30
locked_hit_days = 30
registration_years = 3

[preset.attended]
suspend_max_hours = 168

[preset.supervised]
suspend_max_hours = 168

[preset.standing_order]

# Everybody breaches everything here within minutes: that must not look like a rule gone wild (STANDING 5.7-21).
[breaker]
subjects = 1000000

[clause."1"]
number = "1"
en = "Nothing harmful is sent."
zh = "不得发送有害内容。"
"""

_CATEGORY = """
[[category]]
id = "{name}.sent"
en = "harmful mail of the kind {name}"
zh = "有害邮件（{name}）"
family = "{name}"
ground = ["1"]
mode = "A"
severity = 1
disposition = "{disposition}"
scope = ["bulk"]
zero_tolerance = true

[[rule]]
finding = "{finding}"
category = "{name}.sent"
"""

# Held for a person, and nothing follows from it: an archive that is broken.
_HELD = """
[[protection]]
finding = "attachment.archive.unscannable"
outbound = "quarantine"
internal = "quarantine"
"""

_EXAMPLE = """
[[example]]
name = "clean mail changes nothing"
acts = [{ hour = 0, findings = [] }]
points = 0
rung = "none"
at_hour = 1
disposition = "accept"
"""


def write(folder: Path) -> None:
    """Write the agreement and the feed into a folder."""
    parts = [
        _CATEGORY.format(name=kind.name, finding=kind.finding, disposition="reject" if kind.is_refused else "tag")
        for kind in KINDS
    ]
    (folder / f"{AGREEMENT}.toml").write_text(_HEAD + "".join(parts) + _HELD + _EXAMPLE, encoding="utf-8")
    (folder / "feed.txt").write_text(f"{BAD_HOST}\n", encoding="ascii")
