"""What DNS said is in the event; nobody's local part is, whatever an SPF record makes of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.checks.spec import Context
from filterd.config import load
from filterd.log import dns as log_dns
from filterd.log.dns import CHARACTERS_MAX, COUNT_MAX, dns_facts
from filterd.model.session import Envelope
from filterd.model.verdict import Assessment, AuthResult, Outcome, Verdict
from tests.checks.contexts import path, transaction
from tests.kit.house import House, letter
from tests.kit.zones import Zone, ZoneResolver

pytestmark = pytest.mark.slow

KEY = b"k" * 32
HASH = r"h-[0-9a-f]{32}"


def said(*asked: Any, sender: str = "alice.smith@example.com", results: Any = ()) -> dict[str, Any]:
    mail = transaction(envelope=Envelope(reverse_path=path(sender)))
    verdict = Verdict(check="dkim", version="1", outcome=Outcome.CLEAN, results=results)
    return dns_facts(KEY, mail, Assessment(verdicts=(verdict,)), asked)


def names(*asked: str, **more: Any) -> list[str]:
    return [item["name"] for item in said(*((name, "TXT", "nodata") for name in asked), **more)["dns"]]


def test_names_the_event_has_anyway_are_in_clear() -> None:
    signed = AuthResult(method="dkim", result="pass", properties=(("header.d", "list.example"), ("header.s", "s1")))
    clear = [
        "example.com",
        "pc.example",
        "7.2.0.192.in-addr.arpa",
        "_dmarc.example.com",
        "_dmarc.com",
        "s1._domainkey.list.example",
        "_dmarc.list.example",
    ]
    assert names(*clear, results=(signed,)) == clear


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # %{l}, %{l1}, %{lr-}, %{s}, of which any piece may be left of any literal text.
        ("alice.smith._spf.example.com", rf"{HASH}\.example\.com"),
        ("smith.l.example.org", rf"{HASH}\.example\.org"),
        ("smith.alice.in-addr.arpa", rf"{HASH}\.in-addr\.arpa"),
        ("alice.smith", rf"{HASH}\.smith"),
        ("alice", HASH),
        ("_dmarc.alice.example.org", rf"{HASH}\.example\.org"),
        ("alice._domainkey.example.com", rf"{HASH}\.example\.com"),
        # Not known to be harmless, though it is.
        ("_spf.elsewhere.example", rf"{HASH}\.elsewhere\.example"),
    ],
)
def test_labels_that_may_come_from_a_local_part_are_hashed(name: str, expected: str) -> None:
    assert re.fullmatch(expected, names(name)[0])


def test_a_name_from_an_answer_is_in_clear_unless_it_echoes_the_local_part() -> None:
    spf = "v=spf1 include:_spf.provider.example include:smith.echo.example mx ~all"
    found = said(
        ("example.com", "TXT", (spf,)),
        ("_spf.provider.example", "TXT", ("v=spf1 ip4:192.0.2.0/24 -all",)),
        ("smith.echo.example", "TXT", "nxdomain"),
        ("example.com", "MX", ("10 mx1.provider.example", "20 mx2.provider.example")),
        ("mx1.provider.example", "A", ("192.0.2.1",)),
    )["dns"]
    assert [item["name"] for item in found][1::3] == ["_spf.provider.example", "mx1.provider.example"]
    assert re.fullmatch(rf"{HASH}\.echo\.example", found[2]["name"])
    assert "smith" not in found[0]["records"][0]
    assert found[1] == {"name": "_spf.provider.example", "type": "TXT", "records": ["v=spf1 ip4:192.0.2.0/24 -all"]}


def test_mailboxes_of_a_dmarc_record_are_left_out() -> None:
    record = "v=DMARC1; p=none; rua=mailto:bob@example.org,mailto:x@y.example"
    (item,) = said(("_dmarc.example.com", "TXT", (record,)))["dns"]
    assert item["records"] == ["v=DMARC1; p=none; rua=mailto:…@…,mailto:…@…"]


def test_the_same_name_has_the_same_hash_and_another_key_another() -> None:
    one, two = names("alice.smith.l.example.org"), names("ALICE.smith.l.example.org")
    assert one == two
    mail = transaction(envelope=Envelope(reverse_path=path("alice.smith@example.com")))
    other = dns_facts(b"o" * 32, mail, Assessment(verdicts=()), [("alice.smith.l.example.org", "A", "nodata")])
    assert other["dns"][0]["name"] != one[0]


def test_count_and_size_are_bounded_and_the_rest_is_counted() -> None:
    many = said(*((f"n{n}.example.com", "A", ("192.0.2.1",)) for n in range(COUNT_MAX + 5)))
    assert (len(many["dns"]), many["dns_left_out"]) == (COUNT_MAX, 5)
    long = said(*((f"n{n}.example.com", "TXT", ("v=spf1 " + "x" * 4_000,)) for n in range(COUNT_MAX)))
    size = sum(len(row["name"]) + sum(map(len, map("".join, row["records"]))) for row in long["dns"])
    assert CHARACTERS_MAX - 4_300 < size <= CHARACTERS_MAX
    # The first that is beyond is cut, and the others still say that they were asked, as far as there is room.
    assert [(row.get("is_cut"), row.get("records_left_out")) for row in long["dns"]][3:6] == [
        (None, None),
        (True, None),
        (None, 1),
    ]
    assert len(long["dns"]) + long["dns_left_out"] == COUNT_MAX


def test_a_long_record_stands_in_pieces_and_what_no_method_reads_is_counted() -> None:
    record = "v=DKIM1; p=" + "A" * 700
    asked = (("s._domainkey.example.com", "TXT", (record,)), ("example.com", "TXT", ("token=1", "V=SPF1 -all")))
    key, spf = said(*asked)["dns"]
    assert "".join(key["records"][0]) == record
    assert max(map(len, key["records"][0])) <= 256
    assert (spf["records"], spf["records_left_out"]) == (["V=SPF1 -all"], 1)


def test_a_record_that_is_cut_ends_with_a_whole_word_and_no_pattern_looks_for_its_end() -> None:
    asked = [(f"s{n}._domainkey.example.com", "TXT", ("v=DKIM1; p=" + "A" * 4_985 + " B" * 9,)) for n in range(3)]
    for item in said(*asked)["dns"]:
        assert "".join(map("".join, item["records"])).split(" p=")[1].strip("A B") == ""
        assert item["is_cut"]
    (whole,) = said(("s._domainkey.example.com", "TXT", ("v=DKIM1; n=x " + "A" * 5_000,)))["dns"]
    assert whole["records"] == ["v=DKIM1; n=x "]
    # A search for the end of a text starts anew at each of its characters.
    patterns = [x.pattern for x in vars(log_dns).values() if isinstance(x, re.Pattern)]
    assert patterns
    assert [x for x in patterns if x.endswith((r"\Z", "$"))] == []


PIECE = st.text("abcxyz0123", min_size=4, max_size=10)


@given(st.lists(PIECE, min_size=1, max_size=3), st.sampled_from(".-+_="), st.data())
def test_no_expansion_of_a_macro_says_a_local_part(pieces: list[str], between: str, data: st.DataObject) -> None:
    """RFC 7208 §7: pieces of the local part in any number and order, between literal text."""
    local = between.join(pieces)
    taken = data.draw(st.lists(st.sampled_from(pieces), min_size=1, max_size=4))
    literal = data.draw(st.sampled_from(["_spf.example.com", "l.other.example", "a.b.c.example.net"]))
    glue = data.draw(st.sampled_from([".", "-", "+"]))
    expanded = f"{glue.join(taken)}.{literal}"
    record = ("example.com", "TXT", (f"v=spf1 exists:%{{l}}.{literal} -all",))
    found = said(record, (expanded, "PTR", (expanded,)), sender=f"{local}@example.com")
    name, (answer,) = found["dns"][1]["name"], found["dns"][1]["records"]
    for piece in taken:
        assert piece not in re.sub(HASH, "", name)
        if glue == ".":
            assert piece not in re.sub(HASH, "", answer)


async def test_what_the_checks_of_a_mail_asked_is_in_its_event(tmp_path: Path) -> None:
    """From the check through the gate into the stream."""
    zone = ZoneResolver(Zone({"example.com": {"TXT": ["v=spf1 -all"]}}))

    async def ask(context: Context) -> Verdict:
        assert context.dns is not None
        await context.dns.query("example.com", "TXT")
        await context.dns.query("gone.example.com", "A")
        return Verdict(check="script", version="1", outcome=Outcome.CLEAN)

    config = load(None)
    house = await House(folder=tmp_path, config=config).open()
    house.gate._resolver = zone
    house.use_checks(replace(house.script.check(), run=ask))
    for subject in ("one", "two"):
        await house.send(letter(subject), "bob@other.example", listener=config.listener[0].name)
    await house.close()
    for event in house.events("decided"):
        first, second = event["dns"]
        assert (first["type"], first["records"]) == ("TXT", ["v=spf1 -all"])
        assert (second["type"], second["answer"]) == ("A", "nxdomain")
        # The null sender: nothing of the mail names example.com.
        assert event["dns"][0]["name"].endswith(".com")
    assert len(house.events("decided")) == 2
