"""Another policy for all processes, or for none.  ops/decisions/0013-reload.md.

1. The supervisor reads and checks everything; a fault ends it here.
2. Ledger and workers read the same files, make what they need, and keep it; one refusal, or a file that has changed in
   between, and all forget it again.
3. The ledger takes it, if no tenant is bound by what is gone. It decides old cases under the old text from here on.
4. The supervisor takes it: what is forked from now on inherits it.
5. Each worker takes it; one that does not is killed, and its successor has it.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from filterd.app.parts import make_clock
from filterd.app.policy import Policy, changes, reread
from filterd.errors import PortError
from filterd.supervisor.channel import Fault, Word
from filterd.supervisor.children import Child
from filterd.supervisor.control import Outcome

Wait = Callable[[Sequence[tuple[Child, int]]], None]

_number = itertools.count(1)


class _Refused(PortError):
    """Somebody cannot take it."""

    def __init__(self, fault: Fault):
        super().__init__(fault.text)
        self.fault = fault


def reload(
    old: Policy,
    file: Path | None,
    ledger: Child,
    workers: Sequence[Child],
    wait: Wait,
    adopt: Callable[[Policy], None],
) -> Outcome:
    """Do all of the above.

    Args:
        wait: waits for the answers to these numbers, for as long as our patience lasts.
        adopt: makes the policy that of every child to come.
    """
    prepared: list[Child] = []
    try:
        new = reread(file, old, make_clock(old.config))
        prepared = [child for child in (ledger, *workers) if child.pid]
        if ledger not in prepared:
            raise _Refused(Fault(text="the ledger process is being started again: reload when it is back"))
        _all(prepared, {"do": "prepare", "fingerprint": new.fingerprint}, wait)
        _all([ledger], {"do": "take"}, wait)
    except Exception as err:
        # What nobody raised on purpose, too: whatever it is, what was in force stays.
        for child in prepared:
            child.tell({"do": "drop"})
        return Outcome(fault=err.fault if isinstance(err, _Refused) else Fault.of(err), policies=old.digests)
    adopt(new)
    _all_take(workers, prepared, wait)
    return Outcome(policies=new.digests, changed=changes(old, new))


def _all(children: Sequence[Child], word: Word, wait: Wait) -> None:
    """Have each child do as `word` says. Raises _Refused for the first that does not."""
    asked = [(child, _ask(child, word)) for child in children]
    wait(asked)
    for child, number in asked:
        answer = child.answers.pop(number, None)
        if answer is None and child.role == "worker" and child.channel is None:
            # It died; its successor is started with what is in force then.
            continue
        if answer is None:
            if word["do"] == "take":
                # Nobody knows what it has taken. Its successor has what is in force.
                child.signal(signal.SIGKILL)
            raise _Refused(Fault(text=f"{child.name} gave no answer: nothing was changed"))
        if answer["say"] == "refused":
            raise _Refused(Fault(**answer["fault"]))


def _all_take(workers: Sequence[Child], prepared: Sequence[Child], wait: Wait) -> None:
    """Have the workers take what is in force already, one way or the other."""
    asked = [(child, _ask(child, {"do": "take"})) for child in workers if child in prepared]
    wait(asked)
    for child, number in asked:
        answer = child.answers.pop(number, None)
        if answer is None or answer["say"] != "done":
            child.signal(signal.SIGKILL)


def _ask(child: Child, word: Word) -> int:
    number = next(_number)
    child.tell(word | {"number": number})
    return number
