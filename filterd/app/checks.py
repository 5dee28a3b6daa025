"""The checks that are switched on, with what each needs from outside.  Part of the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path

from filterd import metrics
from filterd.agreement.exceptions import ExceptionTable
from filterd.checks import (
    arc,
    attachments,
    clamd,
    complaints,
    dkim,
    dmarc,
    links,
    pii,
    prohibited,
    psl,
    rate,
    replay,
    sender,
    spam,
    spf,
    terms,
)
from filterd.checks.locked import LockedReader
from filterd.checks.opinion import Reader
from filterd.checks.run import arrange
from filterd.checks.sender_facts import AccountOf, MaySendAs, OwnerOf
from filterd.checks.sender_names import Protected
from filterd.checks.spec import Check, Context
from filterd.clients.adopted_lists import FOLDER, Adopted, AdoptedLists, TermCopies, Waiting
from filterd.clients.clamd import ClamdScanner, locate
from filterd.clients.exception_files import ExceptionFiles, ExceptionReading
from filterd.clients.locked_lists import LOCKED_FOLDER, LockedFolder, LockedList, load_locked, read_locked
from filterd.clients.modelstore import StoredModel, load_model
from filterd.clients.resolver import DnsResolver, make_resolver
from filterd.clients.term_lists import Reading, TermFolder, TermList, read_list
from filterd.config import Config
from filterd.log import service_log
from filterd.model.verdict import FailMode
from filterd.ports import Clock, Scanner
from filterd.share import path

# The end of domains that are nobody's (RFC 2606), as in the default of `notices.sender`.
_PLACEHOLDER = ".invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Whom the checks may ask, besides DNS.

    Args:
        scanner: None: there is no virus check.
        owner_of, account_of, may_send_as: the directory; None: nobody is asked who owns what (`filterd scan`).
        term_lists: what two people have approved (`make_lists`); None: every list of the folder is tried, where nothing
            follows from it (`filterd scan`).
    """

    scanner: Scanner | None
    clock: Clock
    owner_of: OwnerOf | None = None
    account_of: AccountOf | None = None
    may_send_as: MaySendAs | None = None
    term_lists: terms.TermLists | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What is read from files. The feed, the term lists and the exceptions follow their files by themselves from here
    on."""

    model: StoredModel | None
    feed: links.FeedFile | None
    terms: TermFolder | None
    exceptions: ExceptionFiles[ExceptionTable] | None = None
    locked: LockedFolder | None = None


def read_files(config: Config, clock: Clock) -> Files:
    """Read the files of the checks that are switched on, and the lists of exceptions. Raises ConfigError or ModelError
    naming the file."""
    model, feed, lists, locked = None, None, None, None
    if config.spam.enabled or config.content.enabled:
        folder = Path(config.spam.model)
        model = load_model(folder if folder.is_dir() else path(f"models/{config.spam.model}"))
    if config.links.enabled and config.links.feed:
        feed = links.FeedFile(config.links.feed)
    if config.terms.folder is not None:
        lists = TermFolder(config.terms.folder, clock, on_reading=_say_reading)
        lists.open()
    if config.terms.locked_folder is not None:
        locked = LockedFolder(config.terms.locked_folder, clock, load=load_locked, on_reading=_say_locked_reading)
        locked.open()
    return Files(model=model, feed=feed, terms=lists, locked=locked, exceptions=_read_exceptions(config, clock))


def _read_exceptions(config: Config, clock: Clock) -> ExceptionFiles[ExceptionTable] | None:
    if not config.exceptions.files:
        return None
    found = ExceptionFiles(config.exceptions.files, clock, ExceptionTable, on_reading=_say_exceptions)
    found.open()
    return found


async def make_lists(config: Config, files: Files, clock: Clock, adopted: Adopted) -> AdoptedLists[TermList] | None:
    """Make the term lists that act, and say which of the folder's do not; None where there is no folder."""
    if files.terms is None:
        metrics.observe_unadopted(0)
        return None
    lists = AdoptedLists(
        files.terms,
        TermCopies(config.node.state_dir / FOLDER, read_list),
        adopted,
        clock,
        on_waiting=_say_waiting,
        on_trouble=_say_trouble,
    )
    # Said now, not with the first mail.
    await lists.current()
    return lists


async def make_locked(config: Config, files: Files, clock: Clock, adopted: Adopted) -> LockedReader | None:
    """Make what reads mail by locked lists that act; None where there is no folder of them."""
    if files.locked is None:
        return None
    lists: AdoptedLists[LockedList] = AdoptedLists(
        files.locked,
        TermCopies(config.node.state_dir / LOCKED_FOLDER, read_locked),
        adopted,
        clock,
        on_waiting=_say_locked_waiting,
        on_trouble=_say_trouble,
    )
    await lists.current()
    return LockedReader(lists)


async def make_scanner(config: Config) -> Scanner | None:
    """Find the virus scanner; None when it is switched off. An `auto` that finds none still gets a scanner that fails,
    so that its fail mode decides and nothing passes as clean."""
    if not config.clamd.enabled:
        return None
    address = config.clamd.address
    if address == "auto":
        address = await locate() or "unix:/run/clamav/clamd.ctl"
    return ClamdScanner(address, timeout_s=config.clamd.timeout_s, max_connections=config.clamd.max_connections)


def dns_resolver(config: Config) -> DnsResolver | None:
    """Make the resolver, None when no check asks DNS. Raises ConfigError for a name server that is none."""
    if not config.authentication.enabled:
        return None
    dns = config.dns
    return make_resolver(
        dns.nameservers or None, patience_s=dns.patience_s, budget=dns.budget, deadline_s=dns.deadline_s
    )


def build_checks(config: Config, neighbours: Neighbours, files: Files | None = None) -> tuple[Check, ...]:
    """Make the checks that are switched on, in an order that honours what each needs.

    Args:
        files: None: they are read here.
    """
    files = files or read_files(config, neighbours.clock)
    # Once a process and not with the first mail: the list takes a tenth of a second.
    psl.load()
    checks = [*_virus(config, neighbours), *_text(config, files), *_claims(config), *_parts(config, files)]
    if config.rate.enabled:
        bulk = config.rate.bulk_recipients_message
        checks.append(rate.make(config.rate, timeout_s=config.rate.timeout_s, bulk_recipients_message=bulk))
    checks += [complaints.make(), *_terms(config, neighbours, files), *_sender(config, neighbours)]
    return arrange(checks)


def _virus(config: Config, neighbours: Neighbours) -> list[Check]:
    if neighbours.scanner is None:
        return []
    check = clamd.make(
        neighbours.scanner,
        max_bytes=config.clamd.max_bytes,
        timeout_s=config.clamd.timeout_s,
        fail_mode=FailMode(config.clamd.fail_mode),
    )
    return [check]


def _text(config: Config, files: Files) -> list[Check]:
    """Spam and the prohibited labels read a mail once, together."""
    if files.model is None:
        return []
    reader = Reader(files.model)
    checks = []
    if config.spam.enabled:
        mode = FailMode(config.spam.fail_mode)
        checks.append(spam.make(reader, timeout_s=config.spam.timeout_s, fail_mode=mode))
    if config.content.enabled:
        mode, timeout_s = FailMode(config.content.fail_mode), config.content.timeout_s
        checks += [prohibited.make(x, reader, timeout_s=timeout_s, fail_mode=mode) for x in prohibited.LABELS]
    return checks


def _claims(config: Config) -> list[Check]:
    if not config.authentication.enabled:
        return []
    # A little more than the resolver gives a message, so that its own answer comes first.
    deadline_s = config.dns.deadline_s + 1
    return [
        spf.make(
            deadline_s=deadline_s,
            check_helo=config.authentication.check_helo,
            tells_local_part=config.authentication.spf_local_part,
        ),
        dkim.make(deadline_s=deadline_s, is_public_suffix=psl.registries().is_public_suffix),
        dmarc.make(deadline_s=deadline_s, rfc7489=config.authentication.rfc7489),
        arc.make(deadline_s=deadline_s),
        replay.make(_sightings(config), deadline_s=deadline_s),
    ]


def _sightings(config: Config) -> replay.Sightings:
    said = config.authentication
    return replay.Sightings(recipients=said.replay_recipients, networks=said.replay_networks)


def _parts(config: Config, files: Files) -> list[Check]:
    checks = []
    if config.attachments.enabled:
        checks.append(attachments.make(config.attachments, timeout_s=config.attachments.timeout_s))
    if config.links.enabled:
        protected = config.links.protected_domains
        checks.append(links.make(files.feed, protected_domains=protected, timeout_s=config.links.timeout_s))
    if config.pii.enabled:
        checks.append(pii.make(config.pii, timeout_s=config.pii.timeout_s))
    return checks


def _terms(config: Config, neighbours: Neighbours, files: Files) -> list[Check]:
    lists = neighbours.term_lists or files.terms
    return [terms.make(lists, timeout_s=config.terms.timeout_s)] if lists is not None else []


def _sender(config: Config, neighbours: Neighbours) -> list[Check]:
    if neighbours.owner_of is None:
        return []
    names = tuple((item.name, item.domains) for item in config.sender.protected_name)
    check = sender.make(
        neighbours.owner_of,
        deadline_s=config.sender.timeout_s,
        protected=Protected(domains=config.sender.protected_domains, names=names),
        reserved=config.sender.reserved_domains,
        ours=_providers_own(config),
        delegated=config.sender.delegated,
        is_declared=_is_declared,
        account_of=neighbours.account_of,
        may_send_as=neighbours.may_send_as,
    )
    return [check]


def _providers_own(config: Config) -> Protected:
    """Say in whose name notices go out: the provider's, and its resellers' (TX-7.1). A placeholder protects nothing."""
    boxes = [parseaddr(sender) for sender in (config.notices.sender, *config.notices.notice_from.values())]
    known = [(name, address.rpartition("@")[2]) for name, address in boxes]
    meant = [(name, domain) for name, domain in known if "." in domain and not domain.endswith(_PLACEHOLDER)]
    domains = tuple(dict.fromkeys(domain for _, domain in meant))
    return Protected(domains=domains, names=tuple((name, domains) for name, _ in meant if name))


def _is_declared(context: Context) -> bool:
    return context.domains_declared


def _say_reading(reading: Reading) -> None:
    """Tell the operator which lists are in force, and why a change was not taken."""
    if reading.error is not None:
        service_log().error("term_lists_kept", error=reading.error)
    else:
        service_log().info("term_lists", read=list(reading.in_force), expired=list(reading.expired))


# Of locked lists the log has numbers: how their files are called may say what they are about.
def _say_locked_reading(reading: Reading) -> None:
    if reading.error is not None:
        service_log().error("locked_lists_kept", error=reading.error)
    else:
        service_log().info("locked_lists", read=len(reading.in_force), expired=len(reading.expired))


def _say_locked_waiting(waiting: tuple[Waiting, ...]) -> None:
    if waiting:
        service_log().error(
            "locked_lists_not_adopted",
            lists=len(waiting),
            off=sum(one.in_force is None for one in waiting),
            do="filterd terms locked list",
        )


def _say_exceptions(reading: ExceptionReading) -> None:
    """Tell the operator how many entries are in force, and why a change was not taken."""
    if reading.error is not None:
        service_log().error("exceptions_kept", error=reading.error, in_force=reading.in_force)
    else:
        service_log().info("exceptions", in_force=reading.in_force, ended=list(reading.ended))


def _say_waiting(waiting: tuple[Waiting, ...]) -> None:
    """Tell the operator which files two people have not approved, and what acts in their place."""
    metrics.observe_unadopted(len(waiting))
    for one in waiting:
        acts = f"the one approved last, {one.in_force[:12]}" if one.in_force is not None else "none: the list is off"
        service_log().error(
            "term_list_not_adopted",
            list=one.id,
            digest=one.digest[:12],
            in_force=acts,
            do=f"filterd terms propose {one.file}; then another person: filterd proposal approve",
        )


def _say_trouble(err: Exception) -> None:
    service_log().error("term_list_copy", error=str(err), effect="after the next change of its file the list is off")
