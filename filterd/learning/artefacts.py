"""What tells a corpus but not spam from mail: taken out of training texts, never of mail that is judged.

A model that sees list names, tokeniser traces or placeholders learns which corpus a text is from, looks splendid on it,
and knows nothing about other mail. Everything here names a source and says what its texts betray themselves by.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from filterd.mail.words import decode


def clean(source: str, text: str) -> str:
    """Take the marks of its source out of a training text."""
    for sources, mend in _MENDERS:
        if source in sources:
            text = mend(text)
    return _TAGS.sub(" ", text)


# Subject tags of lists and filters.
_TAGS = re.compile(
    r"\[(?:SPAM|[A-Za-z][\w-]{1,20}-(?:users?|talk|devel|dev|list|announce)|ILUG[\w-]*|zzzzteana)\]", re.I
)

_SPACED_URL = re.compile(r"(?:\bhttps? : / / |\bwww \. )(?:\S+ [./:?=&_-] )*\S*")
_SPACED_ADDRESS = re.compile(r"\S+(?: [._-] \S+)* @ \S+(?: \. \S+)*")


def _untokenise(text: str) -> str:
    """enron_text was cut into tokens: its URLs and addresses are no longer recognisable as such."""
    return _SPACED_ADDRESS.sub(" ", _SPACED_URL.sub(" ", text))


# They stand alone, in a row ("PHONEWECHAT") and at the end of a word that was cut ("abcURL"), sometimes with a number.
_PLACEHOLDER = re.compile(r"[a-z]*(?:(?:NAME|PLACE|URL|DIGIT|CELLPHONE|PHONE|WECHAT|QQ)n?\d*)+")
_NUMBER = re.compile(r"DIGIT|PHONE")


def _fill_placeholders(text: str) -> str:
    """fbs_sms was anonymised: numbers become a digit, which reads as any number; the rest nothing."""
    return _PLACEHOLDER.sub(lambda mark: " 0 " if _NUMBER.search(mark[0]) else " ", text)


# chineseharm has unfilled forms, texts of a machine and private marks for pictures.
_FORM = re.compile(r"\[em\]e\d+|\[/em\]|\[(?:客户|公司|姓名)[^\]]{0,12}\]")


_TWEET = re.compile(r"@\w+|\[?\bURL\b\]?|\bRT\b|#(?=\w)")


def _words_of_a_tweet(text: str) -> str:
    return _TWEET.sub(" ", text)


def _decode_subject(text: str) -> str:
    """nazario_text kept its subjects as RFC 2047 wrote them."""
    subject, line_break, body = text.partition("\n")
    return decode(subject.encode("utf-8", "replace")) + line_break + body if "=?" in subject else text


def _without(words: str) -> Callable[[str], str]:
    pattern = re.compile(rf"\b(?:{words})\b", re.I)
    return lambda text: pattern.sub(" ", text)


_FORWARDED = re.compile(
    r"-{3,} ?(?:Forwarded by|Original Message).{0,80}?-{3,}|\b[A-Z][\w. ]{2,30}@(?:ECT|EES|ENRON\w*)|"
    r"/\w+/(?:ECT|EES|Corp/Enron|Enron)(?:@\w+)?",
    re.S,
)
_BOARD = re.compile(
    r"发信站: ?\S+|※ ?(?:来源|修改|转载)[^\n]{0,60}|标 ?题: ?|信 ?区: ?|newsmth\S*|水木\w{0,4}|\(转载\)"
)
_LIST_FOOTER = re.compile(
    r"_{20,}.{0,40}mailing list.*|-- ?To UNSUBSCRIBE, email to.*|Yahoo! Groups Sponsor.{0,200}|"
    r"This (?:sf\.net email|message was sent by).{0,40}",
    re.S | re.I,
)

_MENDERS: tuple[tuple[tuple[str, ...], Callable[[str], str]], ...] = (
    (("enron_text",), _untokenise),
    (("enron_text", "enron_ham"), lambda text: _FORWARDED.sub(" ", text)),
    (("enron_text", "enron_ham"), _without(r"enron\w*|ect|hou")),
    (("list_usrp", "list_raid", "spamassassin", "csdmc2010"), lambda text: _LIST_FOOTER.sub(" ", text)),
    (("list_usrp",), _without(r"usrp\w*|ettus|uhd|gnu ?radio")),
    (("list_raid",), _without(r"linux|raid\d*|mdadm|md")),
    (("spamassassin",), _without(r"razor|ilug|spamassassin|zzzzteana|rpm-list|taint|exmh\w*|yyyy\w*")),
    (("csdmc2010",), _without(r"csmining\w*|debian\w*")),
    (("nazario_text",), _decode_subject),
    (("ccert_zh",), lambda text: _BOARD.sub(" ", text)),
    (("fbs_sms",), _fill_placeholders),
    (("chineseharm",), lambda text: _FORM.sub(" ", text)),
    (("olid", "davidson", "edos", "surge"), _words_of_a_tweet),
)
