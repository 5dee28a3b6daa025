"""Sites that send the reader on to wherever their own links say.

Three tables. Redirectors pass on anybody to anywhere and are used to borrow a good name. Rewriters belong to a mail
gateway that has put them there: the words of the link still show the true place, and the true place is inside.
Sharers take an address as a subject, not as a destination.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from filterd.checks.links.place import Place

# Host or parent, beginning of the path, parameter.
REDIRECTORS: tuple[tuple[str, str, str], ...] = (
    ("google.com", "/url", "q"),
    ("google.com", "/url", "url"),
    ("doubleclick.net", "/", "adurl"),
    ("googleadservices.com", "/pagead/aclk", "adurl"),
    ("youtube.com", "/redirect", "q"),
    ("bing.com", "/ck/a", "u"),
    ("facebook.com", "/l.php", "u"),
    ("facebook.com", "/flx/warn", "u"),
    ("instagram.com", "/", "u"),
    ("linkedin.com", "/redir/redirect", "url"),
    ("linkedin.com", "/safety/go", "url"),
    ("vk.com", "/away.php", "to"),
    ("steamcommunity.com", "/linkfilter", "url"),
    ("slack-redir.net", "/link", "url"),
    ("yandex.ru", "/redir", "url"),
    ("baidu.com", "/link", "url"),
    ("sogou.com", "/link", "url"),
    ("so.com", "/link", "u"),
    ("qq.com", "/cgi-bin/mmwebwx-bin/webwxcheckurl", "requrl"),
    ("c.pc.qq.com", "/", "pfurl"),
    ("c.pc.qq.com", "/", "url"),
    ("mail.qq.com", "/cgi-bin/readtemplate", "gourl"),
    ("weibo.cn", "/sinaurl", "u"),
    ("weibo.com", "/sinaurl", "u"),
    ("link.zhihu.com", "/", "target"),
    ("link.csdn.net", "/", "target"),
    ("link.juejin.cn", "/", "target"),
    ("douban.com", "/link2", "url"),
)
REWRITERS = frozenset({
    "safelinks.protection.outlook.com", "urldefense.proofpoint.com", "urldefense.com", "urldefense.us",
    "linkprotect.cudasvc.com", "protect-us.mimecast.com", "protect-eu.mimecast.com", "protect-de.mimecast.com",
    "url.emailprotection.link", "secure-web.cisco.com", "protection.sophos.com", "clicktime.symantec.com",
})  # fmt: skip
_SHARER = re.compile(r"/(?:share|sharer|intent|submit|post|pin/create|shareArticle|cgi-bin/qzshare)\b")
# Parameters that name a destination on any site.
DESTINATIONS = frozenset(
    {
        "url", "u", "to", "target", "dest", "destination", "redirect", "redirect_uri", "redirect_url", "redirecturl",
        "redir", "next", "goto", "go", "link", "continue", "return", "returnurl", "return_url", "out", "jump",
    }
)  # fmt: skip
_NESTED = re.compile(r"(?i)(?:https?:)?[/\\]{2}\w|(?i:www\.)\w")
_MOST_PARAMETERS = 64


def is_rewriter(found: Place) -> bool:
    """Say whether a link was put there by a mail gateway."""
    names = found.host.split(".")
    return any(".".join(names[at:]) in REWRITERS for at in range(len(names)))


def nested(found: Place) -> Iterator[tuple[str, str]]:
    """Give the (parameter, URL) pairs of a query that hold a whole URL, decoded once; parameters in small letters."""
    if "=" not in found.raw_query:
        return
    for pair in found.raw_query.replace(";", "&").split("&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]:
        name, _, value = pair.partition("=")
        for url in (value, unquote(value)):
            if _NESTED.match(url):
                yield name.lower(), url
                break


def listed_parameter(found: Place) -> str | None:
    """Say which parameter holds the destination, when the table lists this site as a redirector; else None."""
    if "=" not in found.raw_query:
        return None
    query = f"&{found.raw_query.lower()}"
    return next(
        (
            parameter
            for site, path, parameter in REDIRECTORS
            if f".{found.host}".endswith(f".{site}") and found.path.startswith(path) and f"&{parameter}=" in query
        ),
        None,
    )


def is_sharer(found: Place) -> bool:
    """Say whether a page merely takes an address to talk about it."""
    return _SHARER.match(found.path) is not None
