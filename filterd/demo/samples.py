"""The sample mail, in the order in which it is sent, each with what has to become of it.

What stands in pairs is the same in English and in Chinese. Most accounts send one mail only, so that each begins with a
clean record and what follows from a mail can be seen beside it.
"""

from __future__ import annotations

from functools import partial
from itertools import zip_longest

from filterd.demo import letters
from filterd.demo.sample import HELD, Expected, Sample
from filterd.demo.setting import FORGER, HOME, OFFICE, OWN_ID, PARTNER, PARTNER_MX, STRANGER, STRANGER_MX

LANGUAGES = ("en", "zh")
# More than `[rate] bulk_recipients_message`.
MANY = tuple(f"reader{n}@readers{n % 7}.example" for n in range(60))
LIST_FIELDS = (
    ("List-Id", "<members.museum.example>"),
    ("List-Unsubscribe", "<https://museum.example/leave?m=7>, <mailto:leave@museum.example>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ("Precedence", "bulk"),
)
# What somebody writes who wants to be believed.
FORGED_RESULT = ("Authentication-Results", f"{OWN_ID}; spf=pass; dkim=pass; dmarc=pass header.from={PARTNER}")

_NO_POINTS = "nothing counts against you"
_ACTS = tuple(f"content.{label}.model" for label in ("spam", "advertising", "phishing", "fraud", "gambling"))


def samples() -> tuple[Sample, ...]:
    """All of them."""
    groups = (_ordinary, _harmful, _suspect, _advisory, _identity, _restricted, _desk, _inbound, _claims)
    pairs = (pair for group in groups for pair in zip_longest(*(group(language) for language in LANGUAGES)))
    return tuple(sample for pair in pairs for sample in pair if sample is not None)


def _ordinary(language: str) -> tuple[Sample, ...]:
    home = HOME[language]
    return (
        Sample(
            what="a letter",
            language=language,
            login=f"writer@{home}",
            write=partial(letters.plain, "clean"),
            expected=Expected(points=0, absent=_ACTS),
        ),
        Sample(
            what="a newsletter to 60 readers, with List-Unsubscribe",
            language=language,
            login=f"news@{home}",
            to=MANY,
            fields=LIST_FIELDS,
            write=partial(letters.plain, "newsletter"),
            expected=Expected(points=0, found=("rate.message.bulk",), absent=_ACTS),
        ),
    )


def _harmful(language: str) -> tuple[Sample, ...]:
    home = HOME[language]
    return (
        Sample(
            what="a virus (EICAR)",
            language=language,
            login=f"trainee@{home}",
            write=letters.virus,
            expected=Expected(
                reply="550 5.7.1",
                found=("virus.signature.match",),
                breach=("malware",),
                points=4,
                says=("M-VIRUS", "3.3.2"),
            ),
        ),
        Sample(
            what="a program named drawings.pdf.exe",
            language=language,
            login=f"clerk@{home}",
            write=letters.program,
            expected=Expected(
                reply="550 5.7.1",
                found=("attachment.type.disguised",),
                because=("protection.attachment.type.disguised",),
                points=0,
                says=("M-UNCOUNTED", _NO_POINTS),
            ),
        ),
    )


def _suspect(language: str) -> tuple[Sample, ...]:
    home = HOME[language]
    phish = Sample(
        what="phishing",
        language=language,
        login=f"eve@{home}",
        write=partial(letters.plain, "phishing"),
        label="phishing",
        expected=Expected(
            reply=HELD,
            found=("content.phishing.model",),
            breach=("phishing.suspect",),
            points=1,
            says=("D-HELD", "held for review"),
        ),
    )
    if language == "en":
        # Gambling has a model in Chinese only.
        return (phish,)
    bulk = Sample(
        what="a gambling advert to 60 people",
        language=language,
        login=f"dealer@{home}",
        to=MANY,
        write=partial(letters.plain, "gambling"),
        label="gambling",
        expected=Expected(
            reply="550 5.7.1",
            found=("content.gambling.model", "rate.message.bulk"),
            breach=("illegal.gambling",),
            points=1,
        ),
    )
    single = Sample(
        what="a gambling tip to one friend",
        language=language,
        login=f"friend@{home}",
        write=partial(letters.plain, "tip"),
        label="gambling",
        expected=Expected(found=("content.gambling.model",), advisory=("illegal.gambling",), points=0),
    )
    return phish, bulk, single


def _advisory(language: str) -> tuple[Sample, ...]:
    home = HOME[language]
    what, code = (
        ("200 resident ids, made up", "pii.resident_id.bulk")
        if language == "zh"
        else ("40 card numbers, made up", "pii.card.bulk")
    )
    return (
        Sample(
            what=what,
            language=language,
            login=f"payroll@{home}",
            write=letters.numbers,
            expected=Expected(found=(code,), advisory=("privacy.pii",), points=0),
        ),
        Sample(
            what="an insult",
            language=language,
            login=f"angry@{home}",
            write=partial(letters.plain, "abuse"),
            label="insult",
            expected=Expected(absent=_ACTS, points=0),
        ),
    )


def _identity(language: str) -> tuple[Sample, ...]:
    home = HOME[language]
    return (
        Sample(
            what="From: another customer's domain",
            language=language,
            login=f"carol@{home}",
            author="service@meridian.example",
            write=partial(letters.plain, "clean"),
            expected=Expected(
                reply="550 5.7.1",
                found=("sender.from.other_tenant",),
                because=("refused.impersonation.exact",),
                points=0,
                says=("M-UNCOUNTED", _NO_POINTS),
            ),
        ),
        Sample(
            what="From: a private freemail address",
            language=language,
            login=f"dave@{home}",
            author="dave@freemail.example",
            write=partial(letters.plain, "clean"),
            expected=Expected(
                reply="550 5.7.1",
                found=("sender.from.foreign",),
                because=("protection.sender.from.foreign",),
                points=0,
                says=("not this account's", _NO_POINTS),
            ),
        ),
    )


def _restricted(language: str) -> tuple[Sample, ...]:
    """A person has switched attachments off for this account; all else still works."""
    student = f"student@{HOME[language]}"
    return (
        Sample(
            what="a file, where attachments are switched off",
            language=language,
            login=student,
            write=letters.drawings,
            expected=Expected(
                reply="550 5.7.1",
                because=("feature.attachments",),
                points=0,
                says=("F-ATTACHMENTS", "mail without attachments still works"),
            ),
        ),
        Sample(
            what="a letter from the same account",
            language=language,
            login=student,
            write=partial(letters.plain, "clean"),
            expected=Expected(points=0, absent=_ACTS),
        ),
    )


def _desk(language: str) -> tuple[Sample, ...]:
    home = HOME[language]
    return (
        Sample(
            what="a phish, forwarded to the own abuse desk",
            language=language,
            login=f"writer@{home}",
            to=(f"abuse@{home}",),
            write=letters.report,
            expected=Expected(points=0),
        ),
    )


def _inbound(language: str) -> tuple[Sample, ...]:
    reader = f"writer@{HOME[language]}"
    sender = f"promo@{STRANGER}"
    return (
        Sample(
            what="phishing, from a stranger",
            language=language,
            client=STRANGER_MX,
            sender=sender,
            to=(reader,),
            write=letters.page,
            label="phishing",
            expected=Expected(
                found=("content.phishing.model", "link.text.mismatch"), is_marked=True, results={"spf": "pass"}
            ),
        ),
        Sample(
            what="an advert, from a stranger",
            language=language,
            client=STRANGER_MX,
            sender=sender,
            to=(reader,),
            write=partial(letters.advert, 0),
            expected=Expected(found=("content.spam.model",), is_marked=True, results={"spf": "pass"}),
        ),
        Sample(
            what="a virus (EICAR), from a stranger",
            language=language,
            client=STRANGER_MX,
            sender=sender,
            to=(reader,),
            write=letters.virus,
            expected=Expected(reply="550 5.7.1", because=("inbound.virus",), says=("M-VIRUS",)),
        ),
    )


def _claims(language: str) -> tuple[Sample, ...]:
    """One neighbour's name, by right and by force."""
    reader = f"writer@{HOME[language]}"
    good = Sample(
        what="a neighbour's letter, SPF and DKIM and DMARC pass",
        language=language,
        client=PARTNER_MX,
        sender=OFFICE,
        to=(reader,),
        write=partial(letters.plain, "clean"),
        is_signed=True,
        expected=Expected(results={"spf": "pass", "dkim": "pass", "dmarc": "pass"}),
    )
    bad = Sample(
        what="the same name from elsewhere, signature broken",
        language=language,
        client=FORGER,
        sender=OFFICE,
        to=(reader,),
        fields=(FORGED_RESULT,),
        write=partial(letters.plain, "clean"),
        is_signed=True,
        is_broken=True,
        expected=Expected(
            found=("auth.spf.fail", "auth.dkim.fail", "auth.dmarc.fail"),
            because=("inbound.dmarc",),
            is_marked=True,
            results={"spf": "fail", "dkim": "fail", "dmarc": "fail"},
        ),
    )
    return good, bad
