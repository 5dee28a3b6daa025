"""What the event stream says of a mail's authentication names no person."""

from __future__ import annotations

from filterd.checks.dkim.signature import Signature, read_dkim
from filterd.log.facts import check_facts
from filterd.model.verdict import Assessment, AuthResult, Outcome, Verdict

SIGNED = (
    b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; i=alice.smith@mail.example.org;\r\n"
    b" h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAAAAAAAAAAAAAA\r\n"
)


def test_of_a_mailbox_that_signs_the_event_has_the_domain() -> None:
    signature = read_dkim(SIGNED)
    assert isinstance(signature, Signature)
    # Authentication-Results say it whole (RFC 8601 §2.7.1).
    assert dict(signature.properties)["header.i"] == "alice.smith@mail.example.org"
    own = (("smtp.mailfrom", '"a b"@c@example.net'), ("smtp.helo", "mx.example.net"))
    results = (
        AuthResult(method="dkim", result="pass", properties=signature.properties),
        AuthResult(method="spf", result="none", properties=own),
    )
    verdict = Verdict(check="dkim", version="1", outcome=Outcome.CLEAN, results=results)
    ((said,),) = (check_facts(Assessment(verdicts=(verdict,)), frozenset()),)
    dkim, spf = (x["properties"] for x in said["results"])
    assert (dkim["header.i"], dkim["header.d"], dkim["header.s"]) == ("@mail.example.org", "example.org", "s1")
    assert spf == {"smtp.mailfrom": "@example.net", "smtp.helo": "mx.example.net"}
