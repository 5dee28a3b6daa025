"""The typed bodies of ledger entries, an area a file. State is a fold over them, so none is ever changed or removed.

A new field needs a default, so that old rows still read. A new kind goes into its area's union and KINDS. `at` is when
the act counts; the row's own time is when it was written. Half-points throughout. STANDING 5.2.
"""

from __future__ import annotations

from filterd.model.records import (
    appeals,
    claims,
    complaints,
    conduct,
    directory,
    evidence,
    lifecycle,
    locked,
    notices,
    people,
    registers,
    registration,
    security,
    site,
    store,
    tenancy,
)
from filterd.model.records.appeals import AppealAdded as AppealAdded
from filterd.model.records.appeals import AppealAssigned as AppealAssigned
from filterd.model.records.appeals import AppealDecided as AppealDecided
from filterd.model.records.appeals import AppealQuestioned as AppealQuestioned
from filterd.model.records.appeals import AppealRecord as AppealRecord
from filterd.model.records.appeals import AppealReopened as AppealReopened
from filterd.model.records.appeals import CaseShown as CaseShown
from filterd.model.records.appeals import ExculpationGranted as ExculpationGranted
from filterd.model.records.appeals import ObjectionAnswered as ObjectionAnswered
from filterd.model.records.appeals import ObjectionFiled as ObjectionFiled
from filterd.model.records.appeals import RuleRecalled as RuleRecalled
from filterd.model.records.claims import ClaimRecord as ClaimRecord
from filterd.model.records.claims import ReportOpened as ReportOpened
from filterd.model.records.claims import ReportSettled as ReportSettled
from filterd.model.records.claims import RightsNoticeAdded as RightsNoticeAdded
from filterd.model.records.claims import RightsNoticeFiled as RightsNoticeFiled
from filterd.model.records.claims import VerificationNoted as VerificationNoted
from filterd.model.records.complaints import BounceCounted as BounceCounted
from filterd.model.records.complaints import ComplaintClosed as ComplaintClosed
from filterd.model.records.complaints import ComplaintCounted as ComplaintCounted
from filterd.model.records.complaints import ComplaintDiscounted as ComplaintDiscounted
from filterd.model.records.complaints import ComplaintFiled as ComplaintFiled
from filterd.model.records.complaints import ComplaintMuted as ComplaintMuted
from filterd.model.records.complaints import ComplaintRecord as ComplaintRecord
from filterd.model.records.complaints import NotifierMuted as NotifierMuted
from filterd.model.records.complaints import NotifierWarned as NotifierWarned
from filterd.model.records.complaints import OptOutEnded as OptOutEnded
from filterd.model.records.complaints import OptOutFiled as OptOutFiled
from filterd.model.records.complaints import OptOutIgnored as OptOutIgnored
from filterd.model.records.conduct import ConductRecord as ConductRecord
from filterd.model.records.conduct import IncidentOpened as IncidentOpened
from filterd.model.records.conduct import SanctionConfirmed as SanctionConfirmed
from filterd.model.records.conduct import SanctionImposed as SanctionImposed
from filterd.model.records.conduct import SanctionLifted as SanctionLifted
from filterd.model.records.conduct import SanctionReplayed as SanctionReplayed
from filterd.model.records.conduct import StrikeAnnulled as StrikeAnnulled
from filterd.model.records.conduct import StrikeIssued as StrikeIssued
from filterd.model.records.conduct import ViolationRecorded as ViolationRecorded
from filterd.model.records.directory import AccountChanged as AccountChanged
from filterd.model.records.directory import AccountOpened as AccountOpened
from filterd.model.records.directory import AccountRetired as AccountRetired
from filterd.model.records.directory import DirectoryRecord as DirectoryRecord
from filterd.model.records.directory import TenantChanged as TenantChanged
from filterd.model.records.directory import TenantOpened as TenantOpened
from filterd.model.records.evidence import EvidenceExported as EvidenceExported
from filterd.model.records.evidence import EvidenceHeld as EvidenceHeld
from filterd.model.records.evidence import EvidenceRecord as EvidenceRecord
from filterd.model.records.evidence import EvidenceReleased as EvidenceReleased
from filterd.model.records.evidence import EvidenceTaken as EvidenceTaken
from filterd.model.records.evidence import EvidenceViewed as EvidenceViewed
from filterd.model.records.evidence import HeldMailMoved as HeldMailMoved
from filterd.model.records.evidence import MailHeld as MailHeld
from filterd.model.records.evidence import MailRefused as MailRefused
from filterd.model.records.lifecycle import ChangeAnnounced as ChangeAnnounced
from filterd.model.records.lifecycle import ClockStruck as ClockStruck
from filterd.model.records.lifecycle import DeletionRead as DeletionRead
from filterd.model.records.lifecycle import DnsLooked as DnsLooked
from filterd.model.records.lifecycle import LifecycleRecord as LifecycleRecord
from filterd.model.records.lifecycle import MaintenanceAnnounced as MaintenanceAnnounced
from filterd.model.records.lifecycle import MaintenanceEnded as MaintenanceEnded
from filterd.model.records.lifecycle import MxDeclared as MxDeclared
from filterd.model.records.lifecycle import MxProbed as MxProbed
from filterd.model.records.lifecycle import ServiceEnded as ServiceEnded
from filterd.model.records.lifecycle import ServiceResumed as ServiceResumed
from filterd.model.records.lifecycle import SiteDecommissioned as SiteDecommissioned
from filterd.model.records.lifecycle import SubjectPurged as SubjectPurged
from filterd.model.records.locked import LockedCaseClosed as LockedCaseClosed
from filterd.model.records.locked import LockedCaseOpened as LockedCaseOpened
from filterd.model.records.locked import LockedListAdopted as LockedListAdopted
from filterd.model.records.locked import LockedListsEnabled as LockedListsEnabled
from filterd.model.records.locked import LockedRecord as LockedRecord
from filterd.model.records.notices import LetterRead as LetterRead
from filterd.model.records.notices import NoticeBounced as NoticeBounced
from filterd.model.records.notices import NoticeRecord as NoticeRecord
from filterd.model.records.notices import NoticeSent as NoticeSent
from filterd.model.records.people import AccountReinstated as AccountReinstated
from filterd.model.records.people import Approved as Approved
from filterd.model.records.people import CureAnswered as CureAnswered
from filterd.model.records.people import CureFiled as CureFiled
from filterd.model.records.people import MandateEnded as MandateEnded
from filterd.model.records.people import MandateGiven as MandateGiven
from filterd.model.records.people import PeopleRecord as PeopleRecord
from filterd.model.records.people import PersonAdded as PersonAdded
from filterd.model.records.people import PersonVouched as PersonVouched
from filterd.model.records.people import ProposalEnded as ProposalEnded
from filterd.model.records.people import Proposed as Proposed
from filterd.model.records.people import RootActed as RootActed
from filterd.model.records.people import TaskClaimed as TaskClaimed
from filterd.model.records.people import TaskClosed as TaskClosed
from filterd.model.records.people import TaskOpened as TaskOpened
from filterd.model.records.registers import AdviceIgnored as AdviceIgnored
from filterd.model.records.registers import Advised as Advised
from filterd.model.records.registers import AuthorisationGiven as AuthorisationGiven
from filterd.model.records.registers import CategoryRaised as CategoryRaised
from filterd.model.records.registers import EntryEnded as EntryEnded
from filterd.model.records.registers import LegalRequestFiled as LegalRequestFiled
from filterd.model.records.registers import ListingNoted as ListingNoted
from filterd.model.records.registers import MigrationOpened as MigrationOpened
from filterd.model.records.registers import NoticeDelayed as NoticeDelayed
from filterd.model.records.registers import RegisterRecord as RegisterRecord
from filterd.model.records.registers import SenderProtected as SenderProtected
from filterd.model.records.registers import StandingOrderSigned as StandingOrderSigned
from filterd.model.records.registers import StreamDeclared as StreamDeclared
from filterd.model.records.registers import StreamNoticed as StreamNoticed
from filterd.model.records.registers import TermListAdopted as TermListAdopted
from filterd.model.records.registration import RegistrationErased as RegistrationErased
from filterd.model.records.registration import RegistrationMarked as RegistrationMarked
from filterd.model.records.registration import RegistrationMatched as RegistrationMatched
from filterd.model.records.registration import RegistrationNoted as RegistrationNoted
from filterd.model.records.registration import RegistrationRecord as RegistrationRecord
from filterd.model.records.registration import RegistrationSettled as RegistrationSettled
from filterd.model.records.security import HoldAttested as HoldAttested
from filterd.model.records.security import HoldPlaced as HoldPlaced
from filterd.model.records.security import HoldReleased as HoldReleased
from filterd.model.records.security import HypothesisSettled as HypothesisSettled
from filterd.model.records.security import IndicatorSeen as IndicatorSeen
from filterd.model.records.security import SecurityRecord as SecurityRecord
from filterd.model.records.security import StrikeExcused as StrikeExcused
from filterd.model.records.site import AutomationFrozen as AutomationFrozen
from filterd.model.records.site import AutomationThawed as AutomationThawed
from filterd.model.records.site import BreakerReset as BreakerReset
from filterd.model.records.site import BreakerTripped as BreakerTripped
from filterd.model.records.site import BypassClosed as BypassClosed
from filterd.model.records.site import BypassOpened as BypassOpened
from filterd.model.records.site import EffectReported as EffectReported
from filterd.model.records.site import SiteRecord as SiteRecord
from filterd.model.records.store import LedgerRestored as LedgerRestored
from filterd.model.records.store import RowRange as RowRange
from filterd.model.records.store import StoreRecord as StoreRecord
from filterd.model.records.store import SubjectErased as SubjectErased
from filterd.model.records.tenancy import CustodyCharged as CustodyCharged
from filterd.model.records.tenancy import TenancyRecord as TenancyRecord
from filterd.model.records.tenancy import TenantAppealNoted as TenantAppealNoted
from filterd.model.records.tenancy import TenantCharged as TenantCharged
from filterd.model.records.tenancy import TenantDischarged as TenantDischarged
from filterd.model.records.tenancy import TenantLockConfirmed as TenantLockConfirmed
from filterd.model.records.tenancy import TenantLocked as TenantLocked
from filterd.model.records.tenancy import TenantStepEnded as TenantStepEnded
from filterd.model.records.tenancy import TenantStepTaken as TenantStepTaken
from filterd.model.records.tenancy import TenantUnlocked as TenantUnlocked

Record = (
    AppealRecord
    | ClaimRecord
    | ComplaintRecord
    | ConductRecord
    | DirectoryRecord
    | EvidenceRecord
    | LifecycleRecord
    | LockedRecord
    | NoticeRecord
    | PeopleRecord
    | RegisterRecord
    | RegistrationRecord
    | SecurityRecord
    | SiteRecord
    | StoreRecord
    | TenancyRecord
)

_AREAS = (
    appeals,
    claims,
    complaints,
    conduct,
    directory,
    evidence,
    lifecycle,
    locked,
    notices,
    people,
    registers,
    registration,
    security,
    site,
    store,
    tenancy,
)

KINDS: dict[str, type[Record]] = {kind: record for area in _AREAS for kind, record in area.KINDS.items()}

KIND_OF: dict[type[Record], str] = {record: kind for kind, record in KINDS.items()}
