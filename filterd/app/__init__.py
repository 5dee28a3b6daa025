"""The composition root: a Config becomes running parts. The only place that knows everybody.

    parts        what is made of the configuration alone
    checks       the checks that are switched on, with what each needs from outside
    policy       a configuration with everything that is read from files: what a reload changes
    current      what is in force now, swapped by one assignment
    ledger_half, mail_half      what a process runs
    processes    which process holds which half
"""

from __future__ import annotations

from filterd.app.checks import Files as Files
from filterd.app.checks import Neighbours as Neighbours
from filterd.app.checks import build_checks as build_checks
from filterd.app.checks import dns_resolver as dns_resolver
from filterd.app.checks import make_scanner as make_scanner
from filterd.app.checks import read_files as read_files
from filterd.app.ledger_half import LedgerHalf as LedgerHalf
from filterd.app.mail_half import DRAIN_S as DRAIN_S
from filterd.app.mail_half import MailHalf as MailHalf
from filterd.app.parts import EVENTS_DIR as EVENTS_DIR
from filterd.app.parts import KEY_FILE as KEY_FILE
from filterd.app.parts import SOCKET_FILE as SOCKET_FILE
from filterd.app.parts import bypass_file as bypass_file
from filterd.app.parts import desk_rules as desk_rules
from filterd.app.parts import fold as fold
from filterd.app.parts import gate_rules as gate_rules
from filterd.app.parts import load_agreements as load_agreements
from filterd.app.parts import mail_rules as mail_rules
from filterd.app.parts import make_clock as make_clock
from filterd.app.parts import make_signer as make_signer
from filterd.app.parts import notice_settings as notice_settings
from filterd.app.parts import socket_path as socket_path
from filterd.app.parts import verbs as verbs
from filterd.app.policy import Policy as Policy
from filterd.app.policy import changes as changes
from filterd.app.policy import read_policy as read_policy
from filterd.app.policy import reread as reread
from filterd.app.processes import Halves as Halves
from filterd.app.processes import Sockets as Sockets
from filterd.app.processes import check_names as check_names
from filterd.app.processes import next_hop as next_hop
from filterd.app.processes import notice_hop as notice_hop
from filterd.app.processes import prepare as prepare
from filterd.app.processes import run_all_in_one as run_all_in_one
from filterd.app.processes import run_both as run_both
from filterd.app.processes import run_ledger as run_ledger
from filterd.app.processes import run_worker as run_worker
