"""SPF: may this client send for the domain of the reverse-path?  RFC 7208; FAULTS 11-14.

Of inbound mail only: what an account of ours hands in is judged by its credential. The reverse-path's domain is checked
(for the null sender: HELO, §2.4); the HELO identity is a second result, of which nothing follows here.
A pass clears nothing by itself: it says whose name the client may use, not that the mail is good.
Finds: auth.spf.fail, auth.spf.softfail, auth.spf.error (a record that cannot be evaluated, also when that is our
evaluator's doing), dns.budget.spent (a record that asks for too many questions).
Temporary: DNS does not answer for the reverse-path's domain.
"""

from __future__ import annotations

from filterd.checks.budget import SPENT
from filterd.checks.spec import Check, Code, Context, Prompt, skipped
from filterd.checks.spf_query import Answer, Questions, check_host, is_multi_label, read_client
from filterd.errors import PeerError
from filterd.mail.names import canonical_domain
from filterd.model.session import Direction, Session, Transaction
from filterd.model.verdict import AuthResult, FailMode, Finding, Outcome, Verdict

NAME, VERSION = "spf", "1"
CODES = (
    Code(code="auth.spf.fail", label="The sender's domain says that this client may not send for it."),
    Code(code="auth.spf.softfail", label="The sender's domain says that this client probably may not send for it."),
    Code(code="auth.spf.error", label="The SPF record of the sender's domain cannot be evaluated."),
    SPENT,
)
MAIL_FROM, HELO = "smtp.mailfrom", "smtp.helo"

_FOUND = {"fail": "auth.spf.fail", "softfail": "auth.spf.softfail", "permerror": "auth.spf.error"}


def judge(identity: str, domain: str, answer: Answer, helo: AuthResult | None = None) -> Verdict:
    """Say what follows of the answer for the reverse-path.

    Args:
        identity: `smtp.mailfrom`, or `smtp.helo` for the null sender.
        helo: the second result, if there is one.
    """
    code = SPENT.code if answer.problem == "budget" else _FOUND.get(answer.result)
    # A stranger's broken or greedy record neither delays nor marks the mail; a DNS that is silent may be our own.
    outcome = Outcome.FOUND if code else Outcome.TEMPERROR if answer.result == "temperror" else Outcome.CLEAN
    why = (("identity", identity), ("domain", domain)) + ((("problem", answer.problem),) if answer.problem else ())
    return Verdict(
        check=NAME,
        version=VERSION,
        outcome=outcome,
        findings=(Finding(code=code, confidence=1.0, where="envelope.from", why=why),) if code else (),
        reason="dns" if outcome is Outcome.TEMPERROR else None,
        results=(_result(identity, domain, answer), *((helo,) if helo else ())),
    )


def make(
    *,
    fail_mode: FailMode = FailMode.ACCEPT,
    deadline_s: float = 6,
    check_helo: bool = True,
    tells_local_part: bool = True,
) -> Check:
    """Make the check.

    Args:
        deadline_s: a little more than the resolver gives a message.
        check_helo: whether the HELO identity is evaluated beside the reverse-path (RFC 7208 §2.3); one question more.
        tells_local_part: whether a record may put the sender's local part into a question (§7.2); where not, such a
            record is neutral.
    """

    def at_once(context: Context) -> Verdict | None:
        return skipped(NAME, VERSION, "not_inbound") if context.direction is not Direction.INBOUND else None

    async def later(context: Context) -> Verdict:
        session = context.transaction.session
        client = read_client(client_address(session))
        if client is None:
            return skipped(NAME, VERSION, "no_client_address")
        if context.dns is None:
            return skipped(NAME, VERSION, "no_resolver")
        questions = Questions(context.dns)
        name = _helo(session)
        identity, local_part, domain = _identity(context.transaction, name)
        # The null sender has none to tell.
        may_tell = tells_local_part or identity == HELO
        answer = await check_host(questions, client, domain, local_part=local_part, helo=name, may_tell=may_tell)
        second = None
        if check_helo and identity == MAIL_FROM and is_multi_label(name):
            of_helo = await check_host(questions, client, name, local_part="postmaster", helo=name)
            second = _result(HELO, name, of_helo)
        return judge(identity, domain, answer, second)

    run = Prompt(at_once, later)
    return Check(name=NAME, version=VERSION, codes=CODES, run=run, deadline_s=deadline_s, fail_mode=fail_mode)


def client_address(session: Session) -> str | None:
    """Say which client a mail comes from; None: nobody says."""
    return session.known_client


def _helo(session: Session) -> str:
    """Give the HELO name with A-labels; empty for none, for an address literal, and for what is no domain."""
    try:
        return canonical_domain(session.helo or "")
    except PeerError:
        return ""


def _identity(transaction: Transaction, helo: str) -> tuple[str, str, str]:
    """Say which identity is checked: property, local part, domain.  RFC 7208 §2.4."""
    path = transaction.envelope.reverse_path
    if path is None:
        return HELO, "postmaster", helo
    return MAIL_FROM, path.local_part or "postmaster", path.domain


def _result(identity: str, domain: str, answer: Answer) -> AuthResult:
    # What is no domain is not repeated in a header field.
    properties = ((identity, domain),) if is_multi_label(domain) else ()
    return AuthResult(method="spf", result=answer.result, properties=properties, comment=answer.problem)
