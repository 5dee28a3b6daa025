"""A second, naive account ladder: the oracle the real one is tested against.  STANDING 5.1-5.11.

Written from STANDING (and CLAUSES 4, 5) alone. Every query folds the whole history again; nothing is kept between
calls. One account under TX, no tenants, nothing but the acts below. Points are integer half-points, times aware UTC.
Finds: the standing at a time, and the incidents with what they imposed. Nothing here is temporary.
Raises ValueError on a naive datetime, a violation id that comes twice, and a missing severity of another category
than spam.outbound.

`rung` in acts and spans is warn, restrict or suspend. A `step` is one of the five rows of the ladder: restrict 24 h and
7 d are two steps of one rung, so are suspend 7 d and open-ended.

Readings. Where the text leaves a choice, the one that favours the user:

Time and grouping
 1. `d` is 24 exact hours, from instant to instant. "Start day excluded, day ends" (5.7-16) would end the suspension
    of D8 only after the attempt of D15 in walk_1. `_days` is the one place to change.
 2. Whatever counts or binds lasts from its start (included) to its end (excluded): strikes, sanctions, holds,
    probation, provisional points. What shields is inclusive at both ends: the incident window (24 h, notice + 1 h)
    and grace. "Before" in after_notice is strict. An answer exactly 24 h after the objection comes too late.
 3. Mode C1 and C2 violations and those without strong attribution stand outside incidents: no window, no family, no
    recipients, no points, no hold (`prop_c1_locked`, `prop_c2_ceiling`, 5.7-12). Acts naming them are ignored.
 4. A violation links by any family or any message of any member of an open incident; two open ones: the older.
 5. The first notice closes an incident and counts for after_notice and repetition; each notice starts a grace.
 6. A violation that falls in the window of an annulled incident joins it and yields nothing.
Points
 7. S4 gives no points, no severity and no strike. The severity of an incident, for expiry and grace, is the highest
    of its scoring members, mode B included. The strike is issued by the first scoring member; expiry and the 72 h of
    provisional points run from there, also when it is re-issued higher.
 8. Recipients of spam.outbound are summed over the incident; for `a_points` over mode A only.
 9. after_notice is a fact of the incident (5.2): any shared family, +1 for each of its categories.
10. Weight B is settled by family: both incidents have a mode B member of it (they may hold mode A too: otherwise one
    more violation would lower points), the earlier strike counts and was noticed before the later one began, and the
    earlier is not under objection at that moment. Then both count whole, for good. If it is under objection: neither.
11. Confirming an automatic sanction of an incident, of whatever rung, confirms its mode B part. It imposes nothing.
12. Malicious: some member says so and none says compromised.
13. Zero-tolerance asks for mode A in all four kinds. Only the *first* incident (no other strike counted when it began;
    a provisional one does) gets the security axis and provisional points by zero-tolerance (5.3-2), not the first
    zero-tolerance incident of an account that has other strikes. Whether an incident is first, after_notice, in grace
    or in probation is settled by when it began.
14. After 72 h the mode A part of provisional points too is at most 2 points.
Evaluation
15. An incident is evaluated whenever a violation raises its points *or its mode A part* (5.3-7: no incident passes
    without what its total warrants and its mode allows). It imposes only a step above those it imposed already, so
    the idempotency key is (incident, step): with three rungs, splitting a burst would change the outcome.
16. Probation lowers the thresholds of *warranted* alone; `ladder(a_points)` of 5.3-4 keeps the plain ones, as in
    `prop_auto_needs_a_points`. So probation gives tasks, never an automatic step. `_allowed` is the place to change.
17. Probation follows a suspension that expired or lapsed; one that was lifted (a cure apart), stepped down
    or was annulled starts none.
18. Grace follows each notice of any earlier incident, of whatever family, whose strike counts. The rung "already
    notified" is the highest step that incident had imposed by its latest notice; of several graces the mildest binds.
19. "From the second on zero-tolerance has no grace": from the second zero-tolerance incident on, while the strike of
    an earlier zero-tolerance one counts.
20. "Provisional points count for warn only": they are left out of `ladder(a_points)`, the rest still counts. An
    incident whose own points are provisional may thus still impose what earlier final points reach (5.3-7).
21. The mode B rule of 5.9 asks for two earlier incidents with a mode B member of the family, each begun after the
    notice of the one before and none then under objection. It is for incidents without a mode A member. The one
    feature is the first of the row of the mode B category with most points.
22. The scope of a restriction or a hold is the union of rows of the categories the incident had at that instant, and
    does not grow. A category without a row has no features.
Sanctions, persons
23. `attended` lapses at start + 72 h unless confirmed before; confirmed, a sanction runs for its ladder time. Under
    `attended` and `supervised` a warranted open-ended suspension imposes the 7 d step, also when confirmed later.
24. An objection steps the sanction down unless it was confirmed at or before the objection; a later confirmation is
    no answer. An answer in time leaves all as it is. A suspension with an end becomes a restriction for the time left;
    an open-ended one becomes a restriction that ends with the answer. No answer brings a suspension back.
25. Only a first objection to a sanction counts. Objecting to a warning changes nothing but reading 10.
26. An act naming a rung means all sanctions of that rung of that incident; Lifted also finds a suspension that has
    stepped down, by either name, and ends what is active. A lift or a lapse consumes nothing.
27. `until` is the scheduled end: ladder time or lapse, not a step-down that has yet to come.
28. Annulment replays all evaluations without all incidents annulled so far. Each sanction is lowered to the step its
    violation imposes in the replay (none: no sanction, only the strike), keeping its start, lift, objection and
    confirmation. Points are counted without the annulled ones too: after_notice, repetition and first are judged
    again. The incident's security hold opens. Earlier queries are not rewritten. One imposed open-ended and lowered to
    7 d still ends with the answer once stepped down: else the replay would have raised it (`prop_replay_never_raises`).
Security
29. A hold comes with a zero-tolerance first incident when it has a running burst or a second message (fingerprint)
    that is zero-tolerance; once per incident, 24 h, scope rows. So walk_1 needs two messages on D0. Any incident with
    an indicator gives `sending`, which annulment or an attestation ends. Malicious gives none.
30. After 72 h without an attestation a `sending` hold is a trickle: it is in force, and its one feature is `trickle`.
31. An attestation ends every `sending` hold in force, and changes nothing where there is none. It excuses the incidents
    behind these holds, and any other with an indicator that began under them: their strikes are nobody's, and they go
    as if annulled, all their holds with them. A malicious incident is never excused; an annulled one stays annulled.
32. What comes after the attestation joins no excused incident: the password was changed, so it is another act.
33. The watch runs from the attestation for 7 d, for nothing here revokes credentials: its one feature is `watch`.
34. Who is settled malicious is so from then on, whatever later members say; that is a person's act, so the incident is
    evaluated anew then, if it has a strike. A hold that is in force goes on. One that is annulled or excused stays so.
    A member that makes its incident malicious has it evaluated too, though its points be the same (5.3-7).
35. A person's sanction stands beside all others, belongs to no incident, is never stepped down, capped or replayed, and
    lapses never. Lifted or run out, it is over. One that suspended and ran out starts probation.
36. A cure lifts what it names, as a person does. Of a suspension it starts probation; an incident that begins at that
    very instant is in it. A cure of what is over does nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["A", "B", "C1", "C2"]
Rung: TypeAlias = Literal["warn", "restrict", "suspend"]
Preset: TypeAlias = Literal["attended", "supervised", "standing_order"]
StandingRung: TypeAlias = Literal["good", "warned", "restricted", "suspended"]


class Step(IntEnum):
    """The ladder of 5.3, row by row."""

    NONE = 0
    WARN = 1
    RESTRICT_24H = 2
    RESTRICT_7D = 3
    SUSPEND_7D = 4
    SUSPEND_OPEN = 5


def _days(days: int) -> timedelta:
    return timedelta(hours=24 * days)


# STANDING 5.11. Points are half-points.
SEVERITY_HALF_POINTS = {1: 2, 2: 4, 3: 8}
STRIKE_LIFE = {1: _days(90), 2: _days(180), 3: _days(365)}
GRACE = {1: timedelta(hours=24), 2: timedelta(hours=4), 3: timedelta(hours=1)}
SPAM_SEVERITY = ((1000, 3), (100, 2), (0, 1))
LADDER = ((24, Step.SUSPEND_OPEN), (16, Step.SUSPEND_7D), (10, Step.RESTRICT_7D), (6, Step.RESTRICT_24H))
PROBATION_LADDER = ((16, Step.SUSPEND_OPEN), (10, Step.SUSPEND_7D), (6, Step.RESTRICT_7D))
STEP_RUNG: dict[Step, Rung] = {
    Step.WARN: "warn",
    Step.RESTRICT_24H: "restrict",
    Step.RESTRICT_7D: "restrict",
    Step.SUSPEND_7D: "suspend",
    Step.SUSPEND_OPEN: "suspend",
}
STEP_LENGTH = {Step.RESTRICT_24H: timedelta(hours=24), Step.RESTRICT_7D: _days(7), Step.SUSPEND_7D: _days(7)}
PRESET_CAP = {
    "attended": Step.SUSPEND_7D,
    "supervised": Step.SUSPEND_7D,
    "standing_order": Step.SUSPEND_OPEN,
}
PRESET_B_RULE = {"attended": Step.WARN, "supervised": Step.RESTRICT_24H, "standing_order": Step.RESTRICT_7D}
INCIDENT_WINDOW = timedelta(hours=24)
CLOSE_AFTER_NOTICE = timedelta(hours=1)
PROVISIONAL = timedelta(hours=72)
PROVISIONAL_FINAL_HALF_POINTS = 4
AFTER_NOTICE_HALF_POINTS = 2
PROBATION = _days(30)
ATTENDED_LAPSE = timedelta(hours=72)
ANSWER_WITHIN = timedelta(hours=24)
HOLD = timedelta(hours=24)
WATCH = _days(7)
ZERO_TOLERANCE = frozenset({"malware", "phishing.known", "tech.abuse"})

# First match wins; a trailing dot matches the whole group.
FAMILIES = (
    ("spam.", "spam"),
    ("malware", "malware"),
    ("phishing.", "malware"),
    ("fraud.", "fraud"),
    ("impersonation.", "fraud"),
    ("adult.", "adult"),
    ("illegal.other", "other"),
    ("illegal.", "illegal"),
    ("abuse.", "abuse"),
    ("hate.slur", "abuse"),
    ("tech.abuse", "tech"),
    ("privacy.", "privacy"),
    ("rights.", "rights"),
    ("rep.", "rights"),
    ("pol.", "pol"),
    ("hate.ethnic", "pol"),
)
SCOPES = (
    ("spam.", ("bulk", "messages_per_hour:20")),
    ("malware", ("attachments",)),
    ("phishing.", ("links", "external_recipients")),
    ("illegal.gambling", ("links", "external_recipients")),
    ("illegal.drugs", ("links", "external_recipients")),
    ("illegal.weapons", ("links", "external_recipients")),
    ("fraud.", ("links", "external_recipients")),
    ("adult.", ("links", "external_recipients")),
    ("impersonation.", ("from_own",)),
    ("abuse.", ("one_recipient",)),
    ("hate.slur", ("one_recipient",)),
    ("tech.abuse", ("recipients_per_hour:20",)),
)


# Acts


@dataclass(frozen=True, kw_only=True)
class Violation:
    """`severity` None only for spam.outbound: it follows from the recipients counted in the incident."""

    at: datetime
    id: str
    category: str
    mode: Mode
    severity: int | None
    recipients: int
    message: str
    strong: bool = True
    indicator: bool = False
    burst: bool = False
    hypothesis: str = "unknown"


@dataclass(frozen=True, kw_only=True)
class Noticed:
    """The notice of the incident holding the violation is deemed received."""

    at: datetime
    violation_id: str


@dataclass(frozen=True, kw_only=True)
class Annulled:
    """A person annuls the strike of the incident and every sanction it owns."""

    at: datetime
    violation_id: str


@dataclass(frozen=True, kw_only=True)
class Lifted:
    """A person lifts the sanction of that rung; the strike stays."""

    at: datetime
    violation_id: str
    rung: Rung


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """A person confirms the automatic sanction of that rung."""

    at: datetime
    violation_id: str
    rung: Rung


@dataclass(frozen=True, kw_only=True)
class Objected:
    """The user or the admin objects to the automatic sanction of that rung."""

    at: datetime
    violation_id: str
    rung: Rung


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A person answers the objection."""

    at: datetime
    violation_id: str
    rung: Rung


@dataclass(frozen=True, kw_only=True)
class Cured:
    """A cure of the sanction of that rung is accepted, or has waited three days for an answer."""

    at: datetime
    violation_id: str
    rung: Rung


@dataclass(frozen=True, kw_only=True)
class Attested:
    """The tenant's administrator attests that the password was reset and all sessions were revoked."""

    at: datetime


@dataclass(frozen=True, kw_only=True)
class SettledMalicious:
    """A person says that the incident holding the violation was the user's own doing."""

    at: datetime
    violation_id: str


@dataclass(frozen=True, kw_only=True)
class Imposed:
    """A person imposes a sanction of their own; `until` None is open-ended."""

    at: datetime
    id: str
    rung: Rung
    until: datetime | None
    features: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """A person lifts what a person imposed."""

    at: datetime
    imposed_id: str


Act: TypeAlias = (
    Violation
    | Noticed
    | Annulled
    | Lifted
    | Confirmed
    | Objected
    | Answered
    | Cured
    | Attested
    | SettledMalicious
    | Imposed
    | Withdrawn
)


# Answers


@dataclass(frozen=True, kw_only=True)
class NaiveStanding:
    """`until` is None when good, warned or open-ended; `final_half_points` leaves provisional strikes out."""

    rung: StandingRung
    until: datetime | None
    features: frozenset[str]
    half_points: int
    final_half_points: int
    hold: bool


@dataclass(frozen=True, kw_only=True)
class NaiveSpan:
    """A stretch of time under one rung; `until` None is open-ended. A sanction that stepped down has two."""

    rung: Rung
    step: Step
    since: datetime
    until: datetime | None
    features: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class NaiveIncident:
    """`task` is the step warranted by the last evaluation when more than what is imposed, else None.

    Half-points are those of the strike, without regard to expiry: 0 when annulled, capped once provisional ones became
    final. `closed_at` is the end of the window, also when it lies ahead. `is_proposed` is a termination proposal.
    """

    members: tuple[str, ...]
    opened_at: datetime
    closed_at: datetime
    half_points: int
    a_half_points: int
    severity: int
    is_first: bool
    is_after_notice: bool
    is_provisional: bool
    is_annulled: bool
    expires_at: datetime | None
    imposed: tuple[NaiveSpan, ...]
    task: Step | None
    is_proposed: bool


def standing(acts: Iterable[Act], at: datetime, preset: Preset = "supervised") -> NaiveStanding:
    """Say how the account stands at `at`, given what had happened by then (acts at `at` included)."""
    world = _fold(_ordered(acts, at), preset)
    counting = [incident for incident in world.incidents if _is_counting(world, incident, at)]
    spans = [span for record in world.records for span in _spans(world, record, at) if _covers(span, at)]
    spans += [span for span in _by_people(world) if _covers(span, at)]
    holds = [hold for hold in world.holds if hold.incident not in world.gone and _covers(hold, at)]
    watch = frozenset({"watch"}) if any(since <= at < since + WATCH for since in world.attested) else frozenset[str]()

    rung: StandingRung = "warned" if counting else "good"
    until = None
    if any(span.rung == "suspend" for span in spans):
        rung, until = "suspended", _latest(span.until for span in spans if span.rung == "suspend")
    elif any(span.rung == "restrict" for span in spans):
        rung, until = "restricted", _latest(span.until for span in spans if span.rung == "restrict")

    features = watch.union(
        *(span.features for span in spans), *(_hold_features(world, hold, at) for hold in holds)
    )
    return NaiveStanding(
        rung=rung,
        until=until,
        features=features,
        half_points=sum(_counted_points(world, incident, at)[0] for incident in counting),
        final_half_points=sum(
            _counted_points(world, incident, at)[0] for incident in counting if not _is_provisional(world, incident, at)
        ),
        hold=bool(holds),
    )


def warranted(acts: Iterable[Act], violation_id: str, preset: Preset = "supervised") -> Step:
    """Say what the total warranted when the violation was recorded, as known then; NONE when it raised nothing."""
    known = list(acts)
    at = next(act.at for act in known if isinstance(act, Violation) and act.id == violation_id)
    world = _fold(_ordered(known, at), preset)
    found = (evaluation for evaluation in world.evaluations if evaluation.trigger == violation_id)
    return max((evaluation.warranted for evaluation in found), default=Step.NONE)


def incidents(
    acts: Iterable[Act], at: datetime | None = None, preset: Preset = "supervised"
) -> tuple[NaiveIncident, ...]:
    """List the incidents in order of opening, as known at `at` (None: at the last act)."""
    known = list(acts)
    if not known:
        return ()
    seen_at = max(act.at for act in known) if at is None else at
    world = _fold(_ordered(known, seen_at), preset)
    return tuple(_show(world, incident, seen_at) for incident in world.incidents)


# The fold


@dataclass(frozen=True, kw_only=True)
class _Incident:
    """Linked violations. `index` is the order of opening and stays the same as the history grows."""

    index: int
    members: tuple[Violation, ...]
    notices: tuple[datetime, ...] = ()

    @property
    def opened_at(self) -> datetime:
        return self.members[0].at

    @property
    def closed_at(self) -> datetime:
        ends = [self.opened_at + INCIDENT_WINDOW, *(at + CLOSE_AFTER_NOTICE for at in self.notices[:1])]
        return min(ends)

    @property
    def families(self) -> frozenset[str]:
        return frozenset(_family(member.category) for member in self.members)


@dataclass(frozen=True, kw_only=True)
class _Record:
    """A sanction: which incident and violation imposed it, and what persons did to it.

    `one_feature` is None unless the mode B rule imposed it: then the scope is that of the incident. `is_open_ended` is
    as it was imposed, also after a replay has lowered `step`.
    """

    incident: int
    trigger: str
    step: Step
    since: datetime
    is_open_ended: bool
    one_feature: frozenset[str] | None = None
    confirmed_at: datetime | None = None
    objected_at: datetime | None = None
    answered_at: datetime | None = None
    lifted_at: datetime | None = None
    cured_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class _Evaluation:
    """What the total warranted when the violation was recorded."""

    incident: int
    trigger: str
    warranted: Step


@dataclass(frozen=True, kw_only=True)
class _Hold:
    """A security hold; `until` None is open-ended."""

    incident: int
    has_indicator: bool
    since: datetime
    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class _World:
    """All that is known after a number of acts.

    `gone` are annulled and excused incidents, `excused` those of them that an attestation closed, with the members they
    had; `attested` are the instants of attestations, `settled` incidents that a person called malicious.
    """

    preset: Preset
    acts: tuple[Act, ...] = ()
    incidents: tuple[_Incident, ...] = ()
    gone: frozenset[int] = frozenset()
    excused: tuple[tuple[int, frozenset[str]], ...] = ()
    attested: tuple[datetime, ...] = ()
    settled: frozenset[int] = frozenset()
    records: tuple[_Record, ...] = ()
    holds: tuple[_Hold, ...] = ()
    evaluations: tuple[_Evaluation, ...] = ()


def _ordered(acts: Iterable[Act], at: datetime) -> list[Act]:
    """Order the acts up to `at`; those of one instant keep their order."""
    known = list(acts)
    for act in known:
        if act.at.utcoffset() is None:
            raise ValueError(f"naive datetime: {act}")
        if isinstance(act, Violation) and act.severity is None and act.category != "spam.outbound":
            raise ValueError(f"severity missing: {act}")
    ids = [act.id for act in known if isinstance(act, Violation)]
    if len(ids) != len(set(ids)):
        raise ValueError(f"a violation is there twice: {sorted(ids)}")
    return sorted((act for act in known if act.at <= at), key=lambda act: act.at)


def _fold(
    acts: Sequence[Act],
    preset: Preset,
    gone: frozenset[int] = frozenset(),
    excused: tuple[tuple[int, frozenset[str]], ...] = (),
) -> _World:
    """Go through the history once, each step seeing only what came before it.

    Args:
        gone: incidents that never were, in a replay; then `acts` holds no annulment and no attestation.
        excused: those of them that were excused, with the members they had then.
    """
    world = _World(preset=preset, gone=gone, excused=excused)
    for count in range(1, len(acts) + 1):
        act, before = acts[count - 1], world
        world = replace(world, acts=tuple(acts[:count]), incidents=_group(acts[:count], world.excused))
        if isinstance(act, Violation):
            world = _after_violation(before, world, act)
        elif isinstance(act, Annulled):
            world = _after_annulment(world, act)
        elif isinstance(act, Attested):
            world = _after_attestation(world, act)
        elif isinstance(act, SettledMalicious):
            world = _after_settling(world, act)
        elif not isinstance(act, (Noticed, Imposed, Withdrawn)):
            world = _after_person(world, act)
    return world


def _group(acts: Sequence[Act], excused: tuple[tuple[int, frozenset[str]], ...]) -> tuple[_Incident, ...]:
    """Group violations into incidents: same family or same message, within the window of the first."""
    groups: list[_Incident] = []
    over = dict(excused)
    for act in acts:
        if isinstance(act, Violation) and _is_advisory(act):
            continue
        if isinstance(act, Violation):
            # An excused one takes in nothing that came after the attestation.
            linked = [
                group
                for group in groups
                if act.at <= group.closed_at
                and _is_linked(group, act)
                and (group.index not in over or act.id in over[group.index])
            ]
            if linked:
                oldest = linked[0]
                groups[oldest.index] = replace(oldest, members=(*oldest.members, act))
            else:
                groups.append(_Incident(index=len(groups), members=(act,)))
        elif isinstance(act, Noticed):
            noticed = _holding(groups, act.violation_id)
            if noticed is not None:
                groups[noticed.index] = replace(noticed, notices=(*noticed.notices, act.at))
    return tuple(groups)


def _is_advisory(violation: Violation) -> bool:
    return violation.mode in ("C1", "C2") or not violation.strong


def _is_linked(group: _Incident, violation: Violation) -> bool:
    return _family(violation.category) in group.families or any(
        member.message == violation.message for member in group.members
    )


def _holding(groups: Sequence[_Incident], violation_id: str) -> _Incident | None:
    return next((group for group in groups if any(member.id == violation_id for member in group.members)), None)


def _after_violation(before: _World, world: _World, violation: Violation) -> _World:
    incident = _holding(world.incidents, violation.id)
    if incident is None or incident.index in world.gone:
        return world
    earlier = next((known for known in before.incidents if known.index == incident.index), None)
    old = _strike_points(before, earlier) if earlier is not None else (0, 0)
    new = _strike_points(world, incident)
    became_malicious = _is_malicious(world, incident) and not (earlier is not None and _is_malicious(before, earlier))
    if new[0] > old[0] or new[1] > old[1] or (became_malicious and new != (0, 0)):
        world = _evaluate(world, incident, violation.at, violation.id)
    return _protect(world, incident, violation.at)


def _after_annulment(world: _World, act: Annulled) -> _World:
    incident = _holding(world.incidents, act.violation_id)
    if incident is None or incident.index in world.gone:
        return world
    return _without(world, frozenset({incident.index}))


def _after_attestation(world: _World, act: Attested) -> _World:
    """Open the `sending` holds and excuse what happened under them."""
    held = [
        hold for hold in world.holds if hold.has_indicator and hold.incident not in world.gone and _covers(hold, act.at)
    ]
    if not held:
        return world
    since = min(hold.since for hold in held)
    named = {hold.incident for hold in held}
    excused = frozenset(
        incident.index
        for incident in world.incidents
        if incident.index not in world.gone
        and not _is_malicious(world, incident)
        and (incident.index in named or (incident.opened_at >= since and _has_indicator(incident)))
    )
    opened = tuple(replace(hold, until=act.at) if hold in held else hold for hold in world.holds)
    closed = tuple(
        (index, frozenset(member.id for member in world.incidents[index].members)) for index in sorted(excused)
    )
    world = replace(world, holds=opened, attested=(*world.attested, act.at), excused=(*world.excused, *closed))
    return _without(world, excused)


def _after_settling(world: _World, act: SettledMalicious) -> _World:
    incident = _holding(world.incidents, act.violation_id)
    if incident is None:
        return world
    world = replace(world, settled=world.settled | {incident.index})
    if incident.index in world.gone or _issued_at(incident) is None:
        return world
    return _evaluate(world, incident, act.at, f"settled {act.violation_id} {act.at}")


def _without(world: _World, more: frozenset[int]) -> _World:
    """Replay without these incidents too, and lower each sanction to what the replay gives: min(old, replayed)."""
    gone = world.gone | more
    acts = [known for known in world.acts if not isinstance(known, (Annulled, Attested))]
    replayed = _fold(acts, world.preset, gone, world.excused)
    steps = {record.trigger: record.step for record in replayed.records}
    warranted = {evaluation.trigger: evaluation.warranted for evaluation in replayed.evaluations}
    return replace(
        world,
        gone=gone,
        records=tuple(
            replace(record, step=min(record.step, steps.get(record.trigger, Step.WARN))) for record in world.records
        ),
        evaluations=tuple(
            replace(known, warranted=min(known.warranted, warranted.get(known.trigger, Step.WARN)))
            for known in world.evaluations
        ),
    )


def _after_person(world: _World, act: Lifted | Confirmed | Objected | Answered | Cured) -> _World:
    incident = _holding(world.incidents, act.violation_id)
    if incident is None:
        return world
    records = (
        _touched(world, record, act) if record.incident == incident.index else record for record in world.records
    )
    return replace(world, records=tuple(records))


def _touched(world: _World, record: _Record, act: Lifted | Confirmed | Objected | Answered | Cured) -> _Record:
    is_named = STEP_RUNG[record.step] == act.rung
    if isinstance(act, Cured):
        active = [span for span in _spans(world, record, act.at) if _covers(span, act.at) and span.rung == act.rung]
        is_open = bool(active) and record.lifted_at is None
        return replace(record, lifted_at=act.at, cured_at=act.at) if is_open else record
    if isinstance(act, Lifted):
        active = [span for span in _spans(world, record, act.at) if _covers(span, act.at)]
        is_named = bool(active) and (is_named or any(span.rung == act.rung for span in active))
        return replace(record, lifted_at=act.at) if is_named and record.lifted_at is None else record
    if isinstance(act, Confirmed):
        return replace(record, confirmed_at=act.at) if is_named and record.confirmed_at is None else record
    if isinstance(act, Objected):
        return replace(record, objected_at=act.at) if is_named and record.objected_at is None else record
    is_awaited = record.objected_at is not None and record.answered_at is None
    return replace(record, answered_at=act.at) if is_named and is_awaited else record


# Evaluation


def _evaluate(world: _World, incident: _Incident, at: datetime, trigger: str) -> _World:
    """Impose the highest step neither above warranted nor allowed (5.3 steps 1 to 7)."""
    warranted = _warranted(world, incident, at)
    step = min(warranted, _allowed(world, incident, at), _grace_cap(world, incident))
    if _is_first(world, incident) and not _is_malicious(world, incident):
        step = min(step, Step.WARN)
    evaluation = _Evaluation(incident=incident.index, trigger=trigger, warranted=warranted)
    world = replace(world, evaluations=(*world.evaluations, evaluation))
    if step <= max((record.step for record in world.records if record.incident == incident.index), default=Step.NONE):
        return world
    one_feature = None if _has_mode(incident, "A") else _one_feature(world, incident)
    record = _Record(
        incident=incident.index,
        trigger=trigger,
        step=step,
        since=at,
        is_open_ended=step == Step.SUSPEND_OPEN,
        one_feature=one_feature,
    )
    return replace(world, records=(*world.records, record))


def _warranted(world: _World, incident: _Incident, at: datetime) -> Step:
    total = sum(_counted_points(world, other, at)[0] for other in world.incidents if _is_counting(world, other, at))
    return _ladder(total, PROBATION_LADDER if _is_in_probation(world, incident) else LADDER)


def _allowed(world: _World, incident: _Incident, at: datetime) -> Step:
    if _has_mode(incident, "A"):
        a_points = sum(
            _counted_points(world, other, at)[1]
            for other in world.incidents
            if _is_counting(world, other, at) and not _is_provisional(world, other, at)
        )
        return max(Step.WARN, min(_ladder(a_points, LADDER), PRESET_CAP[world.preset]))
    if _is_third_in_mode_b(world, incident):
        return PRESET_B_RULE[world.preset]
    return Step.WARN


def _ladder(half_points: int, ladder: tuple[tuple[int, Step], ...]) -> Step:
    for threshold, step in ladder:
        if half_points >= threshold:
            return step
    return Step.WARN if half_points > 0 else Step.NONE


def _is_third_in_mode_b(world: _World, incident: _Incident) -> bool:
    """Two earlier incidents of the family in mode B, each begun after the notice of the one before."""
    return any(
        _is_repeated(world, first, second, family) and _is_repeated(world, second, incident, family)
        for family in incident.families
        for second in world.incidents
        for first in world.incidents
    )


def _grace_cap(world: _World, incident: _Incident) -> Step:
    """The step already notified, when the incident began within grace; else no cap."""
    began = incident.opened_at
    earlier = [other for other in world.incidents[: incident.index] if _is_counting(world, other, began)]
    if _is_zero_tolerance(incident) and any(_is_zero_tolerance(other) for other in earlier):
        return Step.SUSPEND_OPEN
    caps = [Step.SUSPEND_OPEN]
    for other in earlier:
        received = [notice for notice in other.notices if notice <= began]
        if received and began <= received[-1] + GRACE[_severity(other)]:
            notified = (
                record.step
                for record in world.records
                if record.incident == other.index and record.since <= received[-1]
            )
            caps.append(max(notified, default=Step.WARN))
    return min(caps)


def _is_in_probation(world: _World, incident: _Incident) -> bool:
    ends = [_suspension_ended_at(world, record, incident.opened_at) for record in world.records]
    ends += [_person_s_ended_at(world, act) for act in world.acts if isinstance(act, Imposed)]
    return any(end is not None and end <= incident.opened_at < end + PROBATION for end in ends)


def _suspension_ended_at(world: _World, record: _Record, at: datetime) -> datetime | None:
    """When a suspension ran out by itself or was cured; None when it was lifted, stepped down, is gone or was none."""
    spans = _spans(world, record, at)
    if record.cured_at is not None:
        return record.cured_at if spans and spans[-1].rung == "suspend" else None
    if record.lifted_at is not None or len(spans) != 1 or spans[0].rung != "suspend":
        return None
    return spans[0].until if spans[0].until != _stepped_down_at(record) else None


def _by_people(world: _World) -> list[NaiveSpan]:
    """What persons imposed, each from its start to its end or to when it was lifted."""
    spans = []
    for act in world.acts:
        if isinstance(act, Imposed):
            until = _earliest(act.until, _withdrawn_at(world, act))
            step = Step.SUSPEND_7D if act.rung == "suspend" else Step.RESTRICT_24H
            if until is None or act.at < until:
                spans.append(NaiveSpan(rung=act.rung, step=step, since=act.at, until=until, features=act.features))
    return spans


def _withdrawn_at(world: _World, imposed: Imposed) -> datetime | None:
    ends = (act.at for act in world.acts if isinstance(act, Withdrawn) and act.imposed_id == imposed.id)
    return min(ends, default=None)


def _person_s_ended_at(world: _World, imposed: Imposed) -> datetime | None:
    """When a person's suspension ran out by itself; None when it was lifted or is no suspension."""
    is_lifted = _withdrawn_at(world, imposed) is not None
    return None if is_lifted or imposed.rung != "suspend" else imposed.until


# Points


def _strike_points(world: _World, incident: _Incident) -> tuple[int, int]:
    """Half-points of the incident and their mode A part: max over its categories, before any cap."""
    scoring = _scoring(incident)
    points = max((_member_points(world, incident, member) for member in scoring), default=0)
    a_points = max((_a_points(world, incident, member) for member in scoring if member.mode == "A"), default=0)
    return points, a_points


def _member_points(world: _World, incident: _Incident, member: Violation) -> int:
    if member.mode == "A":
        return _a_points(world, incident, member)
    whole = SEVERITY_HALF_POINTS[_member_severity(incident, member)] + _extra(world, incident)
    return whole if _is_whole(world, incident, _family(member.category)) else whole // 2


def _a_points(world: _World, incident: _Incident, member: Violation) -> int:
    return SEVERITY_HALF_POINTS[_member_severity(incident, member, only_a=True)] + _extra(world, incident)


def _extra(world: _World, incident: _Incident) -> int:
    return AFTER_NOTICE_HALF_POINTS if _is_after_notice(world, incident) else 0


def _is_whole(world: _World, incident: _Incident, family: str) -> bool:
    """Whether mode B counts whole: a person confirmed the incident, or it was repeated."""
    return _is_confirmed(world, incident) or any(
        _is_repeated(world, incident, other, family) or _is_repeated(world, other, incident, family)
        for other in world.incidents
    )


def _counted_points(world: _World, incident: _Incident, at: datetime) -> tuple[int, int]:
    """Half-points at `at` and their mode A part: provisional ones became final at 2 points at most."""
    points, a_points = _strike_points(world, incident)
    if _was_provisional(world, incident) and not _is_provisional(world, incident, at):
        return min(points, PROVISIONAL_FINAL_HALF_POINTS), min(a_points, PROVISIONAL_FINAL_HALF_POINTS)
    return points, a_points


def _scoring(incident: _Incident) -> list[Violation]:
    return [member for member in incident.members if member.severity is None or member.severity in SEVERITY_HALF_POINTS]


def _member_severity(incident: _Incident, member: Violation, *, only_a: bool = False) -> int:
    if member.severity is not None:
        return member.severity
    recipients = sum(
        other.recipients
        for other in incident.members
        if other.category == "spam.outbound" and (other.mode == "A" or not only_a)
    )
    return next(severity for bound, severity in SPAM_SEVERITY if recipients >= bound)


def _severity(incident: _Incident) -> int:
    return max((_member_severity(incident, member) for member in _scoring(incident)), default=0)


def _issued_at(incident: _Incident) -> datetime | None:
    return next((member.at for member in _scoring(incident)), None)


def _expires_at(incident: _Incident) -> datetime | None:
    issued_at = _issued_at(incident)
    return None if issued_at is None else issued_at + STRIKE_LIFE[_severity(incident)]


def _is_counting(world: _World, incident: _Incident, at: datetime) -> bool:
    issued_at, expires_at = _issued_at(incident), _expires_at(incident)
    if incident.index in world.gone or issued_at is None or expires_at is None:
        return False
    return issued_at <= at < expires_at


def _is_first(world: _World, incident: _Incident) -> bool:
    began = incident.opened_at
    return not any(_is_counting(world, other, began) for other in world.incidents[: incident.index])


def _is_noticed_before(earlier: _Incident, later: _Incident) -> bool:
    return bool(earlier.notices) and earlier.notices[0] < later.opened_at


def _is_after_notice(world: _World, incident: _Incident) -> bool:
    return any(
        other.families & incident.families
        and _is_counting(world, other, incident.opened_at)
        and _is_noticed_before(other, incident)
        for other in world.incidents[: incident.index]
    )


def _is_repeated(world: _World, earlier: _Incident, later: _Incident, family: str) -> bool:
    """Whether `later` confirms `earlier` by repetition: both in mode B, in this family."""
    return (
        earlier.index < later.index
        and later.index not in world.gone
        and _has_mode(earlier, "B", family)
        and _has_mode(later, "B", family)
        and _is_counting(world, earlier, later.opened_at)
        and _is_noticed_before(earlier, later)
        and not _is_under_objection(world, earlier, later.opened_at)
    )


def _has_mode(incident: _Incident, mode: Mode, family: str | None = None) -> bool:
    return any(member.mode == mode and family in (None, _family(member.category)) for member in _scoring(incident))


def _is_confirmed(world: _World, incident: _Incident) -> bool:
    return any(isinstance(act, Confirmed) and _is_about(act, incident) for act in world.acts)


def _is_under_objection(world: _World, incident: _Incident, at: datetime) -> bool:
    """Whether some rung of the incident has an objection that nobody had answered at `at`."""
    about = [act for act in world.acts if act.at <= at]
    for position, act in enumerate(about):
        if isinstance(act, Objected) and _is_about(act, incident):
            answers = (
                later
                for later in about[position:]
                if isinstance(later, Answered) and later.rung == act.rung and _is_about(later, incident)
            )
            if not any(answers):
                return True
    return False


def _is_about(act: Confirmed | Objected | Answered, incident: _Incident) -> bool:
    return any(member.id == act.violation_id for member in incident.members)


# Provisional points and holds


def _has_indicator(incident: _Incident) -> bool:
    return any(member.indicator for member in incident.members)


def _is_malicious(world: _World, incident: _Incident) -> bool:
    if incident.index in world.settled:
        return True
    hypotheses = {member.hypothesis for member in incident.members}
    return "malicious" in hypotheses and "compromised" not in hypotheses


def _zero_tolerance_members(incident: _Incident) -> list[Violation]:
    return [
        member
        for member in incident.members
        if member.mode == "A" and (member.burst or member.category in ZERO_TOLERANCE)
    ]


def _is_zero_tolerance(incident: _Incident) -> bool:
    return bool(_zero_tolerance_members(incident))


def _was_provisional(world: _World, incident: _Incident) -> bool:
    """Whether the points of the incident begin as provisional ones."""
    if _is_malicious(world, incident):
        return False
    return _has_indicator(incident) or (_is_first(world, incident) and _is_zero_tolerance(incident))


def _is_provisional(world: _World, incident: _Incident, at: datetime) -> bool:
    issued_at = _issued_at(incident)
    return issued_at is not None and _was_provisional(world, incident) and at < issued_at + PROVISIONAL


def _protect(world: _World, incident: _Incident, at: datetime) -> _World:
    """Add the security hold of 5.7-14 that the incident now deserves and has not got."""
    mine = [hold for hold in world.holds if hold.incident == incident.index]
    if _is_malicious(world, incident):
        return world
    if _has_indicator(incident):
        if any(hold.has_indicator for hold in mine):
            return world
        hold = _Hold(incident=incident.index, has_indicator=True, since=at, until=None)
    else:
        members = _zero_tolerance_members(incident)
        is_enough = any(member.burst for member in members) or len({member.message for member in members}) >= 2
        if mine or not is_enough or not _is_first(world, incident):
            return world
        hold = _Hold(incident=incident.index, has_indicator=False, since=at, until=at + HOLD)
    return replace(world, holds=(*world.holds, hold))


# Sanctions in time


def _spans(world: _World, record: _Record, at: datetime) -> list[NaiveSpan]:
    """What the sanction does, as known at `at`: nothing, one span, or two when it has stepped down."""
    if record.incident in world.gone or record.step <= Step.WARN:
        return []
    end = record.since + STEP_LENGTH[record.step] if record.step in STEP_LENGTH else None
    if world.preset == "attended":
        lapse = record.since + ATTENDED_LAPSE
        if record.confirmed_at is None or record.confirmed_at >= lapse:
            end = _earliest(end, lapse)

    down_at, rung = _stepped_down_at(record), STEP_RUNG[record.step]
    if down_at is None or down_at > at or (end is not None and down_at >= end):
        stretches = [(rung, record.since, end)]
    elif rung == "restrict":
        stretches = [(rung, record.since, down_at)]
    else:
        # STANDING 5.6: for the time left; open-ended until answered.
        rest_until = _earliest(end, record.answered_at if record.is_open_ended else None)
        stretches = [(rung, record.since, down_at), ("restrict", down_at, rest_until)]

    spans = []
    for stretch_rung, since, planned in stretches:
        until = _earliest(planned, record.lifted_at)
        features = _record_features(world, record) if stretch_rung == "restrict" else frozenset[str]()
        if until is None or since < until:
            spans.append(NaiveSpan(rung=stretch_rung, step=record.step, since=since, until=until, features=features))
    return spans


def _stepped_down_at(record: _Record) -> datetime | None:
    """24 h after an objection to an unconfirmed sanction that nobody answered in time; else None."""
    if record.objected_at is None:
        return None
    due = record.objected_at + ANSWER_WITHIN
    if record.confirmed_at is not None and record.confirmed_at <= record.objected_at:
        return None
    if record.answered_at is not None and record.answered_at < due:
        return None
    return due


def _covers(span: NaiveSpan | _Hold, at: datetime) -> bool:
    return span.since <= at and (span.until is None or at < span.until)


def _earliest(*ends: datetime | None) -> datetime | None:
    return min((end for end in ends if end is not None), default=None)


def _latest(ends: Iterable[datetime | None]) -> datetime | None:
    """The latest end; None, open-ended, is later than any."""
    latest: datetime | None = None
    for end in ends:
        if end is None:
            return None
        latest = end if latest is None else max(latest, end)
    return latest


def _family(category: str) -> str:
    return next((family for prefix, family in FAMILIES if _matches(category, prefix)), "other")


def _row(category: str) -> tuple[str, ...]:
    return next((row for prefix, row in SCOPES if _matches(category, prefix)), ())


def _matches(category: str, prefix: str) -> bool:
    return category.startswith(prefix) if prefix.endswith(".") else category == prefix


def _scope(incident: _Incident, at: datetime) -> frozenset[str]:
    """Union of rows of the categories the incident had at `at`."""
    return frozenset(feature for member in incident.members if member.at <= at for feature in _row(member.category))


def _record_features(world: _World, record: _Record) -> frozenset[str]:
    if record.one_feature is not None:
        return record.one_feature
    return _scope(world.incidents[record.incident], record.since)


def _hold_features(world: _World, hold: _Hold, at: datetime) -> frozenset[str]:
    if hold.has_indicator:
        return frozenset({"sending" if at < hold.since + PROVISIONAL else "trickle"})
    return _scope(world.incidents[hold.incident], hold.since)


def _one_feature(world: _World, incident: _Incident) -> frozenset[str]:
    in_mode_b = [member for member in _scoring(incident) if member.mode == "B"]
    used = max(in_mode_b, key=lambda member: _member_points(world, incident, member))
    return frozenset(_row(used.category)[:1])


def _show(world: _World, incident: _Incident, at: datetime) -> NaiveIncident:
    is_annulled = incident.index in world.gone
    points, a_points = (0, 0) if is_annulled else _counted_points(world, incident, at)
    mine = [record for record in world.records if record.incident == incident.index]
    warranted = [known.warranted for known in world.evaluations if known.incident == incident.index]
    imposed = max((record.step for record in mine), default=Step.NONE)
    is_short = bool(warranted) and not is_annulled and warranted[-1] > imposed
    return NaiveIncident(
        members=tuple(member.id for member in incident.members),
        opened_at=incident.opened_at,
        closed_at=incident.closed_at,
        half_points=points,
        a_half_points=a_points,
        severity=_severity(incident),
        is_first=_is_first(world, incident),
        is_after_notice=_is_after_notice(world, incident),
        is_provisional=_is_provisional(world, incident, at),
        is_annulled=is_annulled,
        expires_at=_expires_at(incident),
        imposed=tuple(span for record in mine for span in _show_record(world, record, at)),
        task=warranted[-1] if is_short else None,
        is_proposed=bool(warranted) and not is_annulled and warranted[-1] == Step.SUSPEND_OPEN,
    )


def _show_record(world: _World, record: _Record, at: datetime) -> list[NaiveSpan]:
    if record.step == Step.WARN and record.incident not in world.gone:
        ends = _expires_at(world.incidents[record.incident])
        return [NaiveSpan(rung="warn", step=Step.WARN, since=record.since, until=ends, features=frozenset())]
    return _spans(world, record, at)
