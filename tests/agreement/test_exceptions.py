"""Which entry is followed: the order step by step, and the compiled table against a naive one.  EXCEPTIONS.md."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.agreement.exceptions import ExceptionTable, Match, applied, choice_of, settle
from filterd.model.exception import DENY, NULL_SENDER, TOPICS, Denial, ExceptionEntry, Kind, MailTraits

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 2, tzinfo=UTC)
STRENGTH = ("accept", "tag", "quarantine", "defer", "reject", "discard")


def entry(name: str, kind: Kind = Kind.EXCEPTION, *, line: int = 1, **more: Any) -> ExceptionEntry:
    choices = more.pop("choices", (("spam", "accept"),) if kind is not Kind.DENY else (("deny", "reject"),))
    networks = tuple(ipaddress.ip_network(x) for x in more.pop("client", ()))
    return ExceptionEntry(
        id=name, kind=kind, file="f.toml", line=line, by="op", reason="test", choices=choices, client=networks, **more
    )


def mail(recipient: str = "bob@sub.cust.example", **more: Any) -> MailTraits:
    more.setdefault("proofs", frozenset())
    if isinstance(more.get("client"), str):
        more["client"] = ipaddress.ip_address(more["client"])
    return MailTraits(at=NOW, is_outbound=more.pop("is_outbound", False), recipient=recipient, **more)


def order(entries: tuple[ExceptionEntry, ...], about: MailTraits, topic: str = "spam") -> list[str]:
    return [m.entry.id for m in settle(ExceptionTable(entries).matching(about)).get(topic, ())]


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("192.0.2.7", ["one"]),
        ("198.51.100.9", ["one"]),
        ("2001:db8::1", ["one"]),
        ("198.51.100.10", []),
        ("2001:db8:1::1", []),
        (None, []),
    ],
)
def test_of_several_networks_one_has_to_hold_the_client(client: str | None, expected: list[str]) -> None:
    """Also where the entry is found by something else: its sender."""
    networks = ("192.0.2.0/24", "198.51.100.9/32", "2001:db8::/48")
    one = entry("one", sender=("ann@partner.example",), client=networks)
    more = {"client": client} if client else {}
    assert order((one,), mail(sender="ann@partner.example", **more)) == expected


# --- the order --------------------------------------------------------------------------------------------------------

BOB = "bob@sub.cust.example"
PROVEN = frozenset({("spf", "mail.partner.example"), ("dmarc", "mail.partner.example")})
FULL = mail(
    BOB, client="192.0.2.7", sender="ann@mail.partner.example", from_domain="mail.partner.example", proofs=PROVEN
)
BY_SENDER: dict[str, Any] = {"authenticated": ("spf",)}
# Each is followed before all below it; the steps of the documented order.
STEPS = (
    entry("recipient-address", recipient=(BOB,)),
    entry("recipient-domain", recipient=("sub.cust.example",)),
    entry("recipient-below-3", recipient=(".sub.cust.example",)),
    entry("recipient-below-2", recipient=(".cust.example",)),
    entry("sender-address", sender=("ann@mail.partner.example",), **BY_SENDER),
    entry("sender-domain", sender=("mail.partner.example",), **BY_SENDER),
    entry("sender-below", sender=(".partner.example",), **BY_SENDER),
    entry("from-domain", from_domain=("mail.partner.example",), authenticated=("dmarc",)),
    entry("from-below", from_domain=(".partner.example",), authenticated=("dmarc",)),
    entry("client-32", client=("192.0.2.7/32",)),
    entry("client-24", client=("192.0.2.0/24",)),
)


def test_what_is_closer_comes_first_in_the_documented_order() -> None:
    shuffled = list(STEPS)
    random.Random(1).shuffle(shuffled)
    assert order(tuple(shuffled), FULL) == [x.id for x in STEPS]


def test_of_equals_the_stricter_comes_first_then_the_earlier_file_then_the_earlier_line() -> None:
    def one(name: str, choice: str, rank: int, line: int) -> ExceptionEntry:
        return entry(name, recipient=(BOB,), choices=(("spam", choice),), rank=rank, line=line)

    found = (one("e", "accept", 1, 1), one("d", "accept", 0, 9), one("c", "accept", 0, 3), one("b", "tag", 5, 5))
    assert order((*found, one("a", "reject", 9, 9)), FULL) == ["a", "b", "c", "d", "e"]
    low, high = (entry(str(x), recipient=(BOB,), choices=(("spam_at", str(x)),)) for x in (0.5, 0.9))
    assert order((high, low), FULL, "spam_at") == ["0.5", "0.9"]


def test_a_refusal_and_what_takes_it_back_are_about_the_same_topic() -> None:
    net = entry("net", Kind.DENY, client=("192.0.2.0/24",), denial=Denial())
    desk = entry("desk", Kind.ACCEPT, recipient=(BOB,), choices=(("deny", "accept"), ("spam", "accept")))
    spam_only = entry("spam-only", Kind.ACCEPT, recipient=(BOB,))
    assert order((net, desk), FULL, DENY) == ["desk", "net"]
    assert order((net, spam_only), FULL, DENY) == ["net"]
    said = applied(settle(ExceptionTable((net, desk)).matching(FULL)))
    assert [(x.topic, x.entry_id, x.is_followed) for x in said] == [
        ("deny", "desk", True),
        ("deny", "net", False),
        ("spam", "desk", True),
    ]


# --- what is needed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("methods", "proofs", "is_met"),
    [
        (("spf",), {("spf", "mail.partner.example")}, True),
        (("spf",), {("spf", "partner.example")}, False),
        (("spf",), {("dkim", "mail.partner.example")}, False),
        (("dkim",), {("dkim", "partner.example")}, True),
        (("dkim",), {("dkim", "l.partner.example")}, False),
        (("dkim",), {("dkim", "ner.example")}, False),
        (("dmarc",), {("dmarc", "mail.partner.example")}, True),
        (("dmarc",), {("dmarc", "partner.example")}, False),
        (("spf", "dkim"), {("dkim", "mail.partner.example")}, True),
        (("spf",), set(), False),
    ],
)
def test_a_sender_counts_only_where_one_of_the_methods_vouches_for_it(
    methods: tuple[str, ...], proofs: set[tuple[str, str]], is_met: bool
) -> None:
    one = entry("x", sender=(".partner.example",), authenticated=methods)
    assert bool(order((one,), replace(FULL, proofs=frozenset(proofs)))) is is_met


def test_spf_vouches_for_no_from_domain_and_a_proof_of_another_domain_for_none() -> None:
    one = entry("x", from_domain=("partner.example",), authenticated=("spf", "dmarc"))
    about = mail(BOB, from_domain="partner.example", proofs=frozenset({("spf", "partner.example")}))
    assert order((one,), about) == []
    assert order((one,), replace(about, proofs=frozenset({("dmarc", "partner.example")}))) == ["x"]
    assert order((one,), replace(about, proofs=frozenset({("dmarc", "evil.example")}))) == []
    assert order((one,), replace(about, from_domain=None, proofs=frozenset({("dmarc", "partner.example")}))) == []


def test_an_entry_ends_at_its_instant() -> None:
    one = entry("x", recipient=(BOB,), until=NOW + timedelta(seconds=1))
    assert order((one,), FULL) == ["x"]
    assert order((one,), replace(FULL, at=NOW + timedelta(seconds=1))) == []


@pytest.mark.parametrize(
    ("name", "address", "is_met"),
    [
        ("cust.example", "a@cust.example", True),
        ("cust.example", "a@sub.cust.example", False),
        (".cust.example", "a@cust.example", True),
        (".cust.example", "a@b.c.cust.example", True),
        (".cust.example", "a@notcust.example", False),
        ("a@cust.example", "b@cust.example", False),
        ("cust.example", "postmaster", False),
        (NULL_SENDER, "a@cust.example", False),
    ],
)
def test_names_of_addresses(name: str, address: str, is_met: bool) -> None:
    assert bool(order((entry("x", recipient=(name,)),), mail(address))) is is_met


def test_mail_of_our_own_accounts_meets_only_entries_about_it() -> None:
    inbound = entry("in", Kind.DENY, recipient=(BOB,), denial=Denial())
    outbound = replace(inbound, id="out", is_inbound=False, is_outbound=True)
    accounts = replace(outbound, id="account", account=("printer@cust.example",))
    tenants = replace(outbound, id="tenant", tenant=("cust.example",))
    every = (inbound, outbound, accounts, tenants)
    ours = mail(BOB, is_outbound=True, account="printer@cust.example", tenants=("n_1", "cust.example"))
    assert order(every, ours, DENY) == ["account", "tenant", "out"]
    assert order(every, replace(ours, account="ann@cust.example"), DENY) == ["tenant", "out"]
    assert order(every, FULL, DENY) == ["in"]


def test_before_the_message_what_may_turn_out_to_matter_is_not_certain() -> None:
    desk = entry(
        "desk", Kind.ACCEPT, from_domain=("p.example",), authenticated=("dmarc",), choices=(("deny", "accept"),)
    )
    plain = entry("plain", recipient=(BOB,), choices=(("spam", "tag"),))
    by_spf = entry("by-spf", recipient=(BOB,), sender=("a@b.example",), authenticated=("spf",))
    found = ExceptionTable((desk, plain, by_spf)).matching(mail(BOB, sender="a@b.example", proofs=None))
    assert {m.entry.id: m.is_certain for m in found} == {"desk": False, "plain": True, "by-spf": False}


# --- against a naive table --------------------------------------------------------------------------------------------

LABELS = st.sampled_from(("a", "b", "example"))
DOMAINS = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
ADDRESSES = st.builds("{}@{}".format, st.sampled_from("xy"), DOMAINS)
NAMES = st.one_of(ADDRESSES, DOMAINS, DOMAINS.map(".{}".format))
METHODS = ("spf", "dkim", "dmarc")
CLIENTS = st.builds(lambda a, b: ipaddress.ip_address(f"192.0.{a}.{b}"), st.integers(0, 2), st.integers(0, 2))
NETWORKS = st.one_of(
    st.builds(lambda a, p: ipaddress.ip_network((int(a), p), strict=False), CLIENTS, st.integers(1, 32)),
    st.just(ipaddress.ip_network("2001:db8::/32")),
)
some = st.lists(NAMES, max_size=2).map(tuple)
CHOICES = st.one_of(
    st.just((("deny", "reject"),)),
    st.just((("deny", "accept"), ("spam", "tag"))),
    st.builds(lambda x: (("spam", x),), st.sampled_from(STRENGTH[:5])),
    st.builds(lambda x: (("spam_at", str(x)),), st.sampled_from((0.2, 0.5, 0.9))),
)


@st.composite
def entries(draw: st.DrawFn) -> tuple[ExceptionEntry, ...]:
    out = []
    for number in range(draw(st.integers(0, 6))):
        out.append(
            ExceptionEntry(
                id=f"e{number}",
                kind=Kind.EXCEPTION,
                file="f",
                line=draw(st.integers(1, 3)),
                rank=draw(st.integers(0, 1)),
                by="op",
                reason="test",
                recipient=draw(some),
                sender=draw(some),
                from_domain=tuple(x for x in draw(some) if "@" not in x),
                account=draw(st.sampled_from(((), ("x@a",)))),
                tenant=draw(st.sampled_from(((), ("a",), ("b", "n")))),
                client=draw(st.lists(NETWORKS, max_size=2).map(tuple)),
                authenticated=draw(st.lists(st.sampled_from(METHODS), max_size=2, unique=True).map(tuple)),
                is_inbound=draw(st.booleans()),
                is_outbound=draw(st.booleans()),
                choices=draw(CHOICES),
                until=draw(st.sampled_from((None, NOW, NOW + timedelta(days=1)))),
            )
        )
    return tuple(x for x in out if x.recipient or x.sender or x.from_domain or x.account or x.tenant or x.client)


MAILS = st.builds(
    MailTraits,
    at=st.just(NOW),
    is_outbound=st.booleans(),
    recipient=ADDRESSES,
    client=st.one_of(st.none(), CLIENTS),
    sender=st.one_of(ADDRESSES, st.just(NULL_SENDER)),
    account=st.sampled_from((None, "x@a", "y@a")),
    tenants=st.sampled_from(((), ("n", "a"), ("m",))),
    from_domain=st.one_of(st.none(), DOMAINS),
    proofs=st.frozensets(st.tuples(st.sampled_from(METHODS), DOMAINS), max_size=3),
)


def naive_names(names: tuple[str, ...], address: str) -> int | None:
    """1000 the address, 999 its domain, else how many labels the longest domain above it has; written from the page."""
    domain = address.split("@")[-1]
    best = None
    for name in names:
        found = None
        if name == address:
            found = 1000
        elif name == domain:
            found = 999
        elif name[0] == "." and ("." + domain).endswith(name):
            found = len(name[1:].split("."))
        if found is not None and (best is None or found > best):
            best = found
    return best


def naive(one: ExceptionEntry, about: MailTraits) -> tuple[int, ...] | None:
    """Say steps 1 to 6 of the order for an entry, None where it is not about the mail."""
    if (about.is_outbound and not one.is_outbound) or (not about.is_outbound and not one.is_inbound):
        return None
    if one.until is not None and one.until <= about.at:
        return None
    steps = (
        (one.recipient, naive_names(one.recipient, about.recipient)),
        (one.account, 1 if about.account in one.account else None),
        (one.sender, naive_names(one.sender, about.sender)),
        (one.from_domain, naive_names(one.from_domain, about.from_domain) if about.from_domain else None),
        (one.tenant, 1 if set(one.tenant) & set(about.tenants) else None),
        (one.client, max((n.prefixlen for n in one.client if about.client and about.client in n), default=None)),
    )
    if any(wanted and found is None for wanted, found in steps):
        return None
    for wanted, name, methods in (
        (one.sender, about.sender.split("@")[-1], set(one.authenticated)),
        (one.from_domain, about.from_domain, set(one.authenticated) - {"spf"}),
    ):
        proven = {(m, d) for m, d in about.proofs or () if m in methods}
        if wanted and one.authenticated:
            good = (m for m, d in proven if d == name or (m == "dkim" and f".{name}".endswith(f".{d}")))
            if not list(good):
                return None
    return tuple(-(found or 0) if wanted else 0 for wanted, found in steps)


@given(entries(), MAILS)
def test_the_table_says_what_trying_every_entry_says(found: tuple[ExceptionEntry, ...], about: MailTraits) -> None:
    expected = {}
    for topic in TOPICS:
        matched = []
        for one in found:
            choice = dict(one.choices).get(topic)
            steps = naive(one, about)
            if choice is None or steps is None:
                continue
            strict = float(choice) if topic == "spam_at" else -STRENGTH.index(choice)
            matched.append(((steps, strict, one.rank, one.line, one.id), one.id))
        if matched:
            expected[topic] = [name for _, name in sorted(matched)]
    settled = settle(ExceptionTable(found).matching(about))
    assert {topic: [m.entry.id for m in said] for topic, said in settled.items()} == expected


@given(entries(), MAILS, st.randoms(use_true_random=False))
def test_the_order_is_total(found: tuple[ExceptionEntry, ...], about: MailTraits, chance: random.Random) -> None:
    """However the entries come, the same is followed."""
    other = list(found)
    chance.shuffle(other)
    left, right = (settle(ExceptionTable(x).matching(about)) for x in (found, tuple(other)))
    assert {t: tuple(m.entry for m in x) for t, x in left.items()} == {
        t: tuple(m.entry for m in x) for t, x in right.items()
    }


@given(entries(), MAILS)
def test_before_the_message_nothing_is_missed_that_takes_a_refusal_back(
    found: tuple[ExceptionEntry, ...], about: MailTraits
) -> None:
    """What is certain then is not undone by the message: who is refused at RCPT would be refused after the dot."""
    takers = tuple(replace(x, kind=Kind.ACCEPT) if ("deny", "accept") in x.choices else x for x in found)
    table = ExceptionTable(takers)

    def first(seen: MailTraits) -> Match | None:
        return next(iter(settle(table.matching(seen)).get(DENY, ())), None)

    early = first(replace(about, from_domain=None, proofs=None))
    if early is not None and early.is_certain and choice_of(early.entry, DENY) == "reject":
        late = first(about)
        assert late is not None
        assert choice_of(late.entry, DENY) == "reject"


def test_a_look_does_not_try_every_entry() -> None:
    """10,000 senders for one recipient domain: a mail meets those that share its names, and no others."""
    many = tuple(
        entry(f"e{n}", recipient=(".cust.example",), sender=(f"s{n}@partner.example",), authenticated=("spf",))
        for n in range(10_000)
    )
    table = ExceptionTable(many)
    asked = sum(len(table._drawers.get(key, ())) for key in table._asked(replace(FULL, sender="s7@partner.example")))
    assert asked == 1
    one = entry("one", Kind.DENY, client=tuple(f"10.{n >> 8 & 255}.{n & 255}.0/24" for n in range(5_000)))
    assert order((one,), mail(BOB, client="10.3.4.5"), DENY) == ["one"]
    assert order((one,), mail(BOB, client="11.3.4.5"), DENY) == []
