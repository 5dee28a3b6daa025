"""`filterd complaint`, `filterd optout`: from a report in a file to a case, by our own record alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.decision import Case, Decision, Disposition, MailFacts
from filterd.model.entry import SITE
from filterd.model.ids import random_id
from filterd.model.principal import Basis, Principal, Strength
from filterd.model.session import Direction, Door, Envelope, ForwardPath, Session, Transaction
from filterd.model.verdict import Assessment
from filterd.ports import AccountRef
from tests.cli.rig import House, Ran, open_house

pytestmark = pytest.mark.slow

BOB, CAROL = "bob@other.example", "carol@third.example"
NEWS = "<news@cust.example>"


class Desk:
    """A house with two accounts that have sent mail, and somebody who takes complaints in."""

    def __init__(self, house: House, folder: Path):
        self.house, self.folder = house, folder
        self.ann, self.eve = house.account("ann@cust.example"), house.account("eve@else.example")
        self.token = house.person("dana")

    def sent(
        self,
        account: AccountRef,
        message_id: str,
        *recipients: str,
        disposition: Disposition = Disposition.ACCEPT,
        direction: Direction = Direction.OUTBOUND,
        streams: tuple[str, ...] = (),
    ) -> str:
        """Put a clean mail on our record; say its transaction."""
        house = self.house
        tx = random_id("t", house.clock.now())
        forwards = tuple(ForwardPath(path=parse_forward_path(f"<{x}>".encode())) for x in recipients or (BOB,))
        transaction = Transaction(
            id=tx,
            received_at=house.clock.now(),
            session=Session(id="c_1", door=Door.SMTP, listener="smtp", peer_address="192.0.2.1"),
            envelope=Envelope(reverse_path=None, forward_paths=forwards),
            message_fp="f" * 32,
            digest="d" * 64,
            size_bytes=1234,
        )
        case = Case(
            transaction_id=tx,
            at=house.clock.now(),
            direction=direction,
            principal=Principal(
                account_id=account.account_id, tenant_id=account.tenant_id, basis=Basis.SASL, strength=Strength.STRONG
            ),
            evidence_key=f"e{tx}",
            delivery_keys=(f"k{tx}",),
            text_fp="0" * 16,
            facts=MailFacts(
                recipients=1, external_recipients=1, has_attachments=False, has_links=False, stream_keys=streams
            ),
            assessment=Assessment(verdicts=()),
            policy_digest=house.terms.digest,
        )
        decision = Decision(decision_id=f"d{tx}", transaction_id=tx, disposition=disposition)
        house.log.decided(transaction, case, decision, message_id=message_id, elapsed_ms=1.0)
        return tx

    def file(self, name: str, raw: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(raw)
        return path

    def run(self, *words: object, **options: Any) -> Ran:
        return self.house.run(*words, "--token", self.token, **options)

    def imported(self, *paths: object, **options: Any) -> list[Any]:
        said = self.run("complaint", "import", *paths, "--json", **options)
        assert said.code == 0, said.err
        return list(said.objects)

    def counted(self, account: AccountRef) -> list[r.ComplaintCounted]:
        rows = self.house.engine.run(lambda txn: txn.records(account.account_id))
        return [x for x in rows if isinstance(x, r.ComplaintCounted)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_house() as house:
        yield Desk(house, tmp_path)


def arf(message_id: str = NEWS, *fields: str, recipient: str | None = BOB, kind: str = "abuse") -> bytes:
    """A feedback report. Of the sender it says whatever its writer likes."""
    who = f"Original-Rcpt-To: <{recipient}>\n" if recipient else ""
    head = "".join(f"{x}\n" for x in fields)
    return (
        (
            "From: feedback@isp.example\nTo: abuse@provider.example\nMIME-Version: 1.0\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
            "--b\nContent-Type: text/plain\n\nThis is an abuse report.\n"
            f"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nVersion: 1\n{who}"
            "Original-Mail-From: <eve@else.example>\n\n"
            f"--b\nContent-Type: message/rfc822\n\n{head}From: eve@else.example\n"
            f"Message-ID: {message_id}\n\nBuy\n--b--\n"
        )
        .replace("\n", "\r\n")
        .encode()
    )


def plain(author: str, words: str, message_id: str = NEWS) -> bytes:
    return f"From: {author}\r\nSubject: stop\r\nIn-Reply-To: {message_id}\r\n\r\n{words}\r\n".encode()


def test_a_feedback_report_is_matched_to_our_own_record_of_the_mail(desk: Desk) -> None:
    tx = desk.sent(desk.ann, NEWS, BOB)
    (said,) = desk.imported(desk.file("r.eml", arf()))
    # Not who the report says it was.
    assert (said["account_id"], said["is_counted"], said["is_new"]) == (desk.ann.account_id, True, True)
    (row,) = desk.counted(desk.ann)
    assert (row.transaction_id, row.complaint_id) == (tx, said["complaint_id"])
    assert desk.counted(desk.eve) == []


def test_a_forged_report_about_somebody_else_s_mail_is_about_nobody(desk: Desk) -> None:
    desk.sent(desk.ann, NEWS, BOB)
    forged = "t_" + "0" * 26
    said = desk.imported(desk.file("r.eml", arf("<made-up@else.example>", f"X-Filterd-Id: {forged} fp=0")))
    assert [(x["account_id"], x["is_counted"]) for x in said] == [(None, False)]
    assert (desk.counted(desk.ann), desk.counted(desk.eve)) == ([], [])
    rows = desk.house.engine.run(lambda txn: txn.records(SITE))
    assert [x.account_id for x in rows if isinstance(x, r.ComplaintFiled)] == [None]


@pytest.mark.parametrize(
    ("disposition", "direction"),
    [(Disposition.REJECT, Direction.OUTBOUND), (Disposition.ACCEPT, Direction.INBOUND)],
    ids=["never left us", "came from outside"],
)
def test_only_mail_that_an_account_sent_counts(desk: Desk, disposition: Disposition, direction: Direction) -> None:
    desk.sent(desk.ann, NEWS, BOB, disposition=disposition, direction=direction)
    (said,) = desk.imported(desk.file("r.eml", arf()))
    assert (said["account_id"], desk.counted(desk.ann)) == (None, [])


def test_a_mail_is_found_by_the_id_we_put_into_its_header(desk: Desk) -> None:
    tx = desk.sent(desk.ann, NEWS, BOB)
    (said,) = desk.imported(desk.file("r.eml", arf("<gone@x>", f"X-Filterd-Id: {tx} fp=0")))
    assert said["account_id"] == desk.ann.account_id
    assert [x.transaction_id for x in desk.counted(desk.ann)] == [tx]


def test_an_id_of_ours_counts_only_where_the_rest_of_the_report_agrees(desk: Desk) -> None:
    desk.sent(desk.ann, NEWS, BOB)
    other = desk.sent(desk.eve, "<e@else.example>", CAROL)
    # Bob did not get it, and its Message-ID is another.
    for n, message_id in enumerate((NEWS, "<gone@x>")):
        (said,) = desk.imported(desk.file(f"{n}.eml", arf(message_id, f"X-Filterd-Id: {other} fp=0")))
        assert said["account_id"] != desk.eve.account_id
    assert desk.counted(desk.eve) == []


def test_one_message_id_in_all_mails_hides_no_complaint(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from filterd.cli import complaint_search

    monkeypatch.setattr(complaint_search, "_MOST_FOUND", 30)
    first = desk.sent(desk.ann, NEWS, BOB)
    for n in range(25):
        desk.sent(desk.ann, NEWS, f"r{n}@other.example")
    desk.sent(desk.eve, NEWS, CAROL)
    (said,) = desk.imported(desk.file("bob.eml", arf()))
    assert (said["account_id"], said["is_counted"]) == (desk.ann.account_id, True)
    # Two have used it, and nobody is named: our own id says which it is.
    unnamed = arf(NEWS, recipient=None)
    assert desk.imported(desk.file("none.eml", unnamed))[0]["account_id"] is None
    (said,) = desk.imported(desk.file("id.eml", arf(NEWS, f"X-Filterd-Id: {first} fp=0", recipient=None)))
    assert said["account_id"] == desk.ann.account_id
    assert {x.transaction_id for x in desk.counted(desk.ann)} == {first}
    by_hand = desk.run("complaint", "file", "spam", "--message-id", NEWS, "--from", CAROL, "--json").json
    assert by_hand["account_id"] == desk.eve.account_id


def test_mails_under_one_message_id_leave_room_for_other_reports(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from filterd.cli import complaint_search

    monkeypatch.setattr(complaint_search, "_MOST_FOUND", 5)
    other = desk.sent(desk.eve, "<e@else.example>", CAROL)
    for n in range(8):
        desk.sent(desk.ann, NEWS, f"r{n}@other.example")
    reports = [arf(), arf("<e@else.example>", recipient=CAROL)]
    box = b"".join(b"From x Mon Mar  2 04:00:00 2026\r\n" + x + b"\r\n" for x in reports)
    desk.imported(desk.file("box", box))
    assert [x.transaction_id for x in desk.counted(desk.eve)] == [other]


def test_a_mailbox_of_reports_is_one_case_and_as_many_complaints_as_recipients(desk: Desk) -> None:
    desk.sent(desk.ann, NEWS, BOB, CAROL)
    reports = [arf(recipient=x) for x in (BOB, CAROL, BOB, "nobody@else.example", None)]
    box = b"".join(b"From x Mon Mar  2 04:00:00 2026\r\n" + x + b"\r\n" for x in reports)
    said = desk.imported("--feedback-loop", desk.file("box", box))
    assert len(said) == 5
    assert len({x["complaint_id"] for x in said}) == 1
    # Bob, Carol, and all those who are no recipient together.
    assert [x["is_counted"] for x in said] == [True, True, False, True, False]
    assert len({x.unit for x in desk.counted(desk.ann)}) == 3


def test_reports_come_by_standard_input_too(desk: Desk) -> None:
    desk.sent(desk.ann, NEWS, BOB)
    (said,) = desk.imported("-", stdin=arf())
    assert said["is_counted"]


def test_the_same_words_on_one_day_came_together_wherever_they_say_they_are_from(desk: Desk) -> None:
    people = [f"p{n}@other.example" for n in range(3)]
    others = ["q@third.example", "z@fourth.example"]
    desk.sent(desk.ann, NEWS, *people, *others, BOB)
    for n, author in enumerate([*people, *others]):
        desk.imported(desk.file(f"{n}.eml", plain(author, f"Ban this sender, order {n}")))
    desk.imported(desk.file("own.eml", plain(BOB, "I never asked for these letters")))
    rows = desk.counted(desk.ann)
    assert len({x.unit for x in rows}) == 6
    assert len({x.group for x in rows}) == 2
    assert all(x.group for x in rows)


def test_who_vouches_for_a_feedback_loop_says_that_equal_words_are_the_provider_s(desk: Desk) -> None:
    desk.sent(desk.ann, NEWS, BOB, CAROL)
    desk.imported(desk.file("a.eml", arf(recipient=BOB)))
    desk.imported("--feedback-loop", desk.file("b.eml", arf(recipient=CAROL)))
    assert [bool(x.group) for x in desk.counted(desk.ann)] == [True, False]


def test_not_spam_takes_a_complaint_back(desk: Desk) -> None:
    desk.sent(desk.ann, NEWS, BOB)
    desk.imported(desk.file("a.eml", arf()))
    (said,) = desk.imported(desk.file("b.eml", arf(kind="not-spam")))
    assert (said["complaint_id"], said["is_counted"]) == (None, True)
    assert [x.is_withdrawn for x in desk.counted(desk.ann)] == [False, True]


def test_a_stream_is_known_by_what_our_record_says_and_not_the_report(desk: Desk) -> None:
    desk.sent(desk.ann, NEWS, BOB)
    desk.imported(desk.file("r.eml", arf(NEWS, "List-Id: <other.example>")))
    assert [x.stream for x in desk.counted(desk.ann)] == [()]


def test_a_delivery_report_is_no_complaint_and_counts_for_the_stream_its_mail_was_of(desk: Desk) -> None:
    house, ann = desk.house, desk.ann
    declared = r.StreamDeclared(
        at=house.clock.now(), entry_id="g_1", tenant_id=ann.tenant_id, account_id=ann.account_id, key="k1",
        key_kind="list_id", consent="signup", by="dana",
    )  # fmt: skip
    house.engine.run(lambda txn: txn.append(declared, account_id=None, tenant_id=ann.tenant_id))
    tx = desk.sent(ann, NEWS, BOB, streams=("k1",))
    report = (
        "From: MAILER-DAEMON@other.example\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.other.example\n\n"
        f"Final-Recipient: rfc822; {BOB}\nAction: failed\nStatus: 5.1.1\n\n"
        f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {NEWS}\n\n--b--\n"
    )
    file = desk.file("dsn.eml", report.replace("\n", "\r\n").encode())
    said = desk.run("complaint", "import", file)
    assert (said.code, "1 delivery report: 1 bounce of declared streams counted" in said.out) == (0, True)
    assert "0 bounces" in desk.run("complaint", "import", file).out
    rows = house.engine.run(lambda txn: txn.records(ann.account_id))
    assert [x.transaction_id for x in rows if isinstance(x, r.BounceCounted)] == [tx]
    # No case, and no complaint.
    assert desk.counted(ann) == []
    assert desk.run("complaint", "list", "--json").json == []


def test_what_cannot_be_read_is_said_and_fails(desk: Desk) -> None:
    said = desk.run("complaint", "import", desk.file("big.eml", b"Subject: x\r\n\r\n" + b"a" * (9 << 20)))
    assert said.code == 1
    assert "big.eml" in said.err
    assert desk.run("complaint", "import", desk.folder / "nothing.eml").code == 1


def test_a_case_is_filed_listed_shown_and_closed(desk: Desk) -> None:
    tx = desk.sent(desk.ann, NEWS, BOB)
    said = desk.run("complaint", "file", "spam", "--message-id", "news@cust.example", "--from", BOB, "--json").json
    assert (said["account_id"], said["is_counted"]) == (desk.ann.account_id, True)
    case = said["complaint_id"]
    assert case in desk.run("complaint", "list").out
    shown = desk.run("complaint", "show", case, "--json").json
    assert (shown["complainants"], shown["transactions"], shown["outcome"]) == (1, [tx], None)
    closing = desk.run("complaint", "close", case, "--outcome", "reviewed", "--reason", "looked")
    assert closing.code == 0, closing.err
    assert case not in desk.run("complaint", "list").out
    assert case in desk.run("complaint", "list", "--all").out
    # The word for who complained is a keyed hash all the way.
    assert BOB not in str(desk.house.engine.run(lambda txn: (txn.records(SITE), txn.records(desk.ann.account_id))))


@pytest.mark.parametrize("option", ["--transaction", "--queue-id"])
def test_a_case_is_filed_by_other_ids_of_the_mail(desk: Desk, option: str) -> None:
    from structlog.testing import capture_logs

    from filterd.model.reply import Reply

    tx = desk.sent(desk.ann, NEWS, BOB)
    with capture_logs():
        desk.house.log.delivered(tx, Reply(code=250, enhanced="2.0.0", text="Ok: queued as 4XbM2k0FQz"))
    wanted = tx if option == "--transaction" else "4XbM2k0FQz"
    assert desk.run("complaint", "file", "spam", option, wanted, "--json").json["account_id"] == desk.ann.account_id
    other = desk.run("complaint", "file", "spam", option, "t_0" if option == "--transaction" else "NOSUCH", "--json")
    assert other.json["account_id"] is None


def test_an_opt_out_is_added_listed_and_removed(desk: Desk) -> None:
    said = desk.run("optout", "add", "ann@cust.example", "--recipient", BOB, "--json").json
    assert said["kind"] == "person"
    assert said["optout_id"] in desk.run("optout", "list", "--recipient", BOB).out
    assert desk.run("optout", "list", "--recipient", CAROL, "--json").json == []
    assert desk.run("optout", "remove", said["optout_id"], "--reason", "asked for it").code == 0
    assert desk.run("optout", "list", "--json").json == []
    assert BOB not in desk.run("optout", "list", "--account", "ann@cust.example").out


def test_who_complains_without_cause_is_warned_and_muted_by_two(desk: Desk) -> None:
    desk.sent(desk.ann, NEWS, BOB)
    erin = desk.house.person("erin")

    def unfounded(name: str) -> str:
        (said,) = desk.imported(desk.file(name, plain(BOB, name)))
        case = str(said["complaint_id"])
        desk.run("complaint", "close", case, "--outcome", "unfounded", "--reason", "an invoice")
        return case

    assert desk.run("complaint", "warn", BOB, "--complaint", unfounded("one"), "--reason", "no cause").code == 0
    desk.house.clock.advance(hours=1)
    desk.sent(desk.ann, "<second@cust.example>", BOB)
    (said,) = desk.imported(desk.file("two.eml", plain(BOB, "again", "<second@cust.example>")))
    desk.run("complaint", "close", said["complaint_id"], "--outcome", "unfounded", "--reason", "an invoice")
    given = ("--complaint", said["complaint_id"], "--reason", "again")
    made = desk.run("complaint", "mute", BOB, *given, "--days", "30", "--json").json
    options = ("--digest", made["digest"], "--token", erin)
    assert desk.house.run("proposal", "approve", made["proposal_id"], *options).code == 0
    desk.sent(desk.ann, "<third@cust.example>", BOB)
    heard = desk.run("complaint", "import", desk.file("three.eml", plain(BOB, "more", "<third@cust.example>")))
    assert "1 report of people who are muted: on record, and no case" in heard.out
    by_hand = desk.run("complaint", "file", "spam", "--message-id", "<third@cust.example>", "--from", BOB)
    assert (by_hand.code, by_hand.out.startswith("no case: ")) == (0, True)
    entries = [x for x in desk.run("register", "list", "--json").json if x["register"] == "notifier.muted"]
    assert [(x["by"], x["approver"], BOB in str(x)) for x in entries] == [("dana", "erin", False)]


def test_a_case_is_contested_once(desk: Desk) -> None:
    desk.sent(desk.ann, NEWS, BOB)
    (said,) = desk.imported(desk.file("r.eml", arf()))
    case = said["complaint_id"]
    desk.run("complaint", "close", case, "--outcome", "reviewed", "--reason", "seen")
    assert desk.run("complaint", "contest", case, "--reason", "she has another one").code == 0
    assert desk.run("complaint", "contest", case, "--reason", "once more").code == 1
    assert [x["complaint_id"] for x in desk.run("complaint", "list", "--json").json] == [case]
