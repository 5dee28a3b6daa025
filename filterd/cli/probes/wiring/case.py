"""filterd's configuration and Postfix's, side by side: who gives mail to whom. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from filterd.cli.probes.wiring.own_file import OwnFile
from filterd.cli.probes.wiring.places import Place, asked_place, listens, own_place
from filterd.cli.probes.wiring.postfix import Postfix, Service
from filterd.cli.probes.wiring.text import braced, items
from filterd.config import Config, ListenerConfig

# Where smtpd(8) may ask a policy service, in the order in which it does.
LISTS = tuple(f"smtpd_{stage}_restrictions" for stage in ("client", "helo", "sender", "relay", "recipient"))
LATE_LISTS = ("smtpd_data_restrictions", "smtpd_end_of_data_restrictions")
ALL_LISTS = (*LISTS, *LATE_LISTS)

Way = Literal["proxy", "filter", "milter"]
PARAMETER: dict[Way, str] = {"proxy": "smtpd_proxy_filter", "filter": "content_filter", "milter": "smtpd_milters"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A service of Postfix that gives mail to somebody.

    Args:
        address: as Postfix writes it; for a milter without its attributes.
        asked: where that is, None for what is no place.
        listener: which of ours it is, by number; None for none of them, and for the milter.
        is_ours: whether it is a door of ours of this kind.
        transport: of `filter`, the service that carries the mail; None where there is no such service.
        attributes: of a milter, those in its braces.
    """

    service: Service
    way: Way
    address: str
    asked: Place | None
    listener: int | None
    is_ours: bool
    transport: Service | None = None
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def parameter(self) -> str:
        return PARAMETER[self.way]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A policy service that a service asks, in one of its lists."""

    service: Service
    list_name: str
    address: str
    attributes: tuple[tuple[str, str], ...]
    asked: Place | None
    before: tuple[str, ...]
    is_ours: bool


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the faults are looked for in."""

    config: Config
    own: OwnFile
    postfix: Postfix

    @cached_property
    def listeners(self) -> tuple[tuple[Place, ListenerConfig], ...]:
        return tuple((own_place(item.bind, item.port), item) for item in self.config.listener)

    @cached_property
    def milter(self) -> Place | None:
        found = self.config.milter
        return own_place(found.bind, found.port) if found.enabled else None

    @cached_property
    def policy(self) -> Place | None:
        found = self.config.policy_service
        return own_place(found.bind, found.port) if found.enabled else None

    @cached_property
    def doors(self) -> tuple[Place, ...]:
        """All of ours that a mail server may connect to."""
        rest = (self.milter, self.policy)
        return (*(place for place, _ in self.listeners), *(place for place in rest if place is not None))

    @cached_property
    def smtpds(self) -> tuple[Service, ...]:
        return tuple(service for service in self.postfix.services if service.is_smtpd)

    @cached_property
    def behind(self) -> Service | None:
        """The service to which filterd hands on."""
        place = self.next_hop
        if place is None:
            return None
        return next((s for s in self.smtpds if (own := listens(s)) is not None and own.serves(place)), None)

    @cached_property
    def next_hop(self) -> Place | None:
        host, sign, port = self.config.next_hop.address.rpartition(":")
        if not sign or not port.isdigit():
            return None
        return Place(host.strip("[]"), int(port))

    @cached_property
    def feeds(self) -> tuple[Feed, ...]:
        """Everybody to whom Postfix gives mail before or behind its queue, filterd or not."""
        return tuple(feed for service in self.smtpds for feed in self._feeds_of(service))

    @cached_property
    def fed(self) -> tuple[Feed, ...]:
        """Those that come to us, the way back left out: there they are a loop."""
        return tuple(feed for feed in self.feeds if feed.is_ours and feed.service is not self.behind)

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        return tuple(question for service in self.smtpds for question in self._questions_of(service))

    def listener_of(self, feed: Feed) -> ListenerConfig | None:
        return None if feed.listener is None else self.config.listener[feed.listener]

    def takes_logins(self, service: Service) -> bool:
        return self.postfix.is_on("smtpd_sasl_auth_enable", service)

    def takes_strangers(self, service: Service) -> bool:
        """Say whether somebody without a login may write to our own people there."""
        if not self.takes_logins(service):
            return True
        lists = [items(self.postfix.value(name, service)) for name in LISTS]
        return not any(
            "reject" in words[at + 1 : at + 2] for words in lists for at, word in enumerate(words)
            if word == "permit_sasl_authenticated"
        )  # fmt: skip

    def is_like_ours(self, address: str, service: Service, name: str, asked: Place | None) -> bool:
        """Say whether an address that is no door of this kind is meant for us: by its name, or as another door."""
        is_door = asked is not None and any(door.serves(asked) for door in self.doors)
        return is_door or "filterd" in address or "filterd" in (self.postfix.holder(service, name, address) or "")

    def is_hidden_by_chroot(self, address: str) -> bool:
        """Say whether the address is a socket of ours for all but a chrooted service."""
        is_socket = address.startswith(("unix:", "local:"))
        return is_socket and asked_place(address, self.postfix, is_chrooted=False) in self.doors

    def _feeds_of(self, service: Service) -> Iterator[Feed]:
        value, chrooted = self.postfix.value, self.postfix.is_chrooted(service)
        if proxy := value("smtpd_proxy_filter", service):
            asked = asked_place(proxy, self.postfix, is_chrooted=chrooted)
            number = self._listener_at(asked)
            yield Feed(
                service=service, way="proxy", address=proxy, asked=asked, listener=number, is_ours=number is not None
            )
        if content := value("content_filter", service):
            name, _, address = content.partition(":")
            carrier = next((s for s in self.postfix.services if s.name == name and s.type == "unix"), None)
            is_chrooted = carrier is not None and self.postfix.is_chrooted(carrier)
            asked = asked_place(address.replace("[", "").replace("]", ""), self.postfix, is_chrooted=is_chrooted)
            number = self._listener_at(asked)
            yield Feed(
                service=service, way="filter", address=content, asked=asked, listener=number,
                is_ours=number is not None, transport=carrier,
            )  # fmt: skip
        if "no_milters" in items(value("receive_override_options", service)):
            return
        for item in items(value("smtpd_milters", service)):
            address, attributes = braced(item)
            asked = asked_place(address, self.postfix, is_chrooted=chrooted)
            is_ours = asked is not None and self.milter is not None and self.milter.serves(asked)
            yield Feed(
                service=service, way="milter", address=address, asked=asked, listener=None, is_ours=is_ours,
                attributes=tuple(attributes.items()),
            )  # fmt: skip

    def _questions_of(self, service: Service) -> Iterator[Question]:
        chrooted = self.postfix.is_chrooted(service)
        for name in ALL_LISTS:
            words = items(self.postfix.value(name, service))
            for at, word in enumerate(words[1:], start=1):
                if words[at - 1] != "check_policy_service":
                    continue
                address, attributes = braced(word)
                asked = asked_place(address, self.postfix, is_chrooted=chrooted)
                yield Question(
                    service=service, list_name=name, address=address, attributes=tuple(attributes.items()),
                    asked=asked, before=tuple(words[: at - 1]),
                    is_ours=asked is not None and self.policy is not None and self.policy.serves(asked),
                )  # fmt: skip

    def _listener_at(self, asked: Place | None) -> int | None:
        if asked is None:
            return None
        return next((n for n, (place, _) in enumerate(self.listeners) if place.serves(asked)), None)
