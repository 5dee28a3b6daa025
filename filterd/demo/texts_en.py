"""The words of the sample mail in English: name → (subject, text). All written for this demonstration."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "clean": (
        "Minutes of Tuesday's meeting",
        "Dear Ms Okafor,\n\nthank you for coming on Tuesday. We agreed to move the review to the second week of the "
        "month and to ask the workshop for a new quotation. Please tell me whether Thursday at ten suits you.\n\n"
        "Kind regards\nPeter Lund\n",
    ),
    "newsletter": (
        "Harbour Museum newsletter, March",
        "Dear members,\n\nthe restored lighthouse room opens again on Saturday at ten. Our volunteers spent the winter "
        "cleaning the lens and cataloguing the letters of the keepers, and Dr Lindqvist will talk about what they "
        "found. The reading circle meets on the 12th in the library, and the children's workshop has moved to "
        "Wednesday afternoon.\n\nThe minutes of the annual meeting are on the notice board. We still look for two "
        "people who can help in the garden.\n\nWith kind regards\nthe museum team\n\nYou get this letter because you "
        "are a member. To leave the list, use the link in the header or answer with the word leave.\n",
    ),
    "drawings": (
        "The drawings",
        "Dear Ms Okafor,\n\nplease find the drawings of the second floor attached. The changes we spoke about on "
        "Monday are marked in red.\n\nKind regards\nPeter Lund\n",
    ),
    "phishing": (
        "Your mailbox will be suspended",
        "Dear user,\n\nwe detected unusual activity on your account. Your mailbox has been limited and will be "
        "suspended within 24 hours unless you verify your account information. Please click the link below to confirm "
        "your password and restore full access to your account:\n\nhttp://webmail-verify.example/login\n\nFailure to "
        "verify your account will result in permanent suspension. We apologize for any inconvenience.\n\n"
        "Account Security Department\n",
    ),
    "report": (
        "Phishing in our mailboxes",
        "Dear colleagues of the abuse desk,\n\nthe attached mail reached three of us this morning. Nobody has clicked. "
        "Please have a look.\n\nAlice\n",
    ),
    "abuse": (
        "Re: your stupid complaint",
        "You are such a pathetic idiot. Nobody likes you, you stupid fucking moron, and everyone in this office knows "
        "what a worthless piece of shit you are. Shut up and stop writing to me.\n",
    ),
    "numbers": (
        "Refunds for March",
        "Dear Tom,\n\nthe attached table has the cards for the refunds of March, as you asked. Please check the "
        "numbers against the list of the bookings and tell me when they are done.\n\nThank you\nAnna\n",
    ),
    "appeal": (
        "My account",
        "Hello,\n\nI do not agree with what was done to my account. Please have somebody look at it.\n",
    ),
}

OPENERS = ("Congratulations", "Last chance", "Hello friend", "Good news", "Exclusive offer")
GOODS = ("cheap brand watches", "weight loss pills", "instant loans", "online casino bonus", "cheap software licenses")
CALLS = ("Click here to order now", "Reply today to claim your prize", "Buy now, limited time only", "Act now")


def advert(number: int) -> tuple[str, str]:
    """One of a run of adverts whose words differ from message to message."""
    a, b, c = number, number // 5, number // 3
    return (
        f"{OPENERS[b % 5]}! {GOODS[a % 5]} {number}",
        f"{OPENERS[b % 5]}!!! Get {GOODS[a % 5]} at the lowest price, 100% satisfaction guaranteed, no questions "
        f"asked. {CALLS[c % 4]}: http://offer{number % 13}.example/win?id={number}\n"
        f"Make money fast from home, free bonus with every order of {GOODS[(a + 2) % 5]}. "
        f"{CALLS[(c + 1) % 4]}! To be removed from this list send a mail with the subject remove.\n",
    )
