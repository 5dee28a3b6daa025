"""What the links check can find, by code."""

from __future__ import annotations

from filterd.checks.spec import Code

FEED = "link.feed.match"
MISMATCH = "link.text.mismatch"
LOOKALIKE = "link.host.lookalike"
ADDRESS = "link.host.address"
USERINFO = "link.userinfo.present"
REDIRECT = "link.redirect.open"
SIGNAL = "link"

CODES = (
    Code(code=FEED, signal=SIGNAL, label="A link that the operator's feed lists as harmful, in any spelling."),
    Code(code=MISMATCH, signal=SIGNAL, label="A link whose words show another domain than the one it leads to."),
    Code(code=LOOKALIKE, signal=SIGNAL, label="A link to a host that passes for a protected domain, or mixes scripts."),
    Code(code=ADDRESS, signal=SIGNAL, label="A link to a bare IP address, plain or in a notation that hides it."),
    Code(code=USERINFO, signal=SIGNAL, label="A link with a user name before its host, which may pass for the host."),
    Code(code=REDIRECT, signal=SIGNAL, label="A link through another site's redirector, which hides where it leads."),
)
