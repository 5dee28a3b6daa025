"""Faults of the wiring between filterd and a mail server, read in the server's own files.  ops/docs/DOCTOR.md.

`postfix.py` reads Postfix's files, `case.py` lays them beside filterd's, the other files hold the faults: each a small
pure function over a `Case`. `ask.py` is the only one that runs programs.
"""
