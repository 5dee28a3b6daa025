"""How every command ends: exit codes, and errors on one line.

    0   done                        2   the command line, the configuration or a list is wrong
    1   refused, or it failed       75  the ledger is not reachable: try again later (EX_TEMPFAIL of sysexits.h)

An error is one line on standard error, `filterd: file:line: key: message`. What nobody raised on purpose is a bug and
keeps its traceback.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from filterd.cli.say import complain
from filterd.errors import ConfigError, FilterdError, LedgerUnavailable

OK, FAILED, USAGE, TEMPFAIL = 0, 1, 2, 75


class Entry(TyperGroup):
    """The outermost command: runs the rest and turns what it raised into a line and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        try:
            code = super().main(args, prog_name or "filterd", complete_var, False, windows_expand_args, **extra)
            sys.stdout.flush()
        except typer.TyperException as err:
            code = _usage(err)
        except typer.Abort:
            code = FAILED
        except FilterdError as err:
            complain(str(err))
            code = exit_code(err)
        except BrokenPipeError:
            # Whoever read our output has had enough; what is still buffered must not fail again at the very end.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = FAILED
        except OSError as err:
            complain(f"{err.filename}: {err.strerror}" if err.filename else str(err))
            code = FAILED
        sys.exit(code if isinstance(code, int) else OK)


def exit_code(err: FilterdError) -> int:
    """Say the exit code that an error of ours means."""
    match err:
        case ConfigError():
            return USAGE
        case LedgerUnavailable():
            return TEMPFAIL
        case _:
            return FAILED


def _usage(err: typer.TyperException) -> int:
    """Say what is wrong with the command line, and where its help is."""
    context = getattr(err, "ctx", None)
    if type(err).__name__ == "NoArgsIsHelpError" and context is not None:
        print(context.get_help(), file=sys.stderr)
        return USAGE
    where = f" (see {context.command_path} --help)" if context is not None else ""
    complain(f"{err.format_message()}{where}")
    return err.exit_code
