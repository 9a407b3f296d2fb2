"""The command line behind the Makefile: `python -m local run | stop | token | …` (see --help)."""

import argparse
import sys
from pathlib import Path

from local.cleanup import remove_temporary_files
from local.console import echo
from local.inbox import print_mail, print_notifications
from local.invoke import invoke
from local.processes import running_processes, terminate
from local.rehearse import rehearse
from local.run import run
from local.settings import Settings, StackError
from local.stack import Stack
from local.users import renew_tokens


def main() -> int:
    """Run the command that the arguments name; return the exit code."""
    arguments = _parser().parse_args()
    try:
        settings = Settings.from_environment()
        match arguments.command:
            case "run":
                run(settings)
            case "stop":
                _stop(settings)
            case "running":
                return _report_running(settings)
            case _:
                return _run_on_stack(arguments, settings.folder)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run_on_stack(arguments: argparse.Namespace, folder: Path) -> int:
    """Run a command that needs a running stack.

    Raises:
        StackError: no stack is running, or the command failed.
    """
    stack = Stack.load(folder)
    stack.require_running()
    match arguments.command:
        case "token":
            renew_tokens(stack, folder)
            echo(f"New tokens are in {folder}: token, agent-token and admin-token.")
        case "mail":
            print_mail(stack)
        case "inbox":
            print_notifications(stack)
        case "rehearse":
            rehearse(stack, folder, arguments.fault, arguments.tickets)
        case "invoke":
            return invoke(stack, arguments.task, arguments.event)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start the stack; Ctrl-C stops it")
    commands.add_parser("stop", help="stop a stack that is still running")
    commands.add_parser("running", help="say if a stack is still running; exit with 1 if none is")
    commands.add_parser("token", help="renew the demo users' tokens")
    commands.add_parser("mail", help="show the mails to the support team")
    commands.add_parser("inbox", help="show the notifications to the support team's tools")
    rehearsal = commands.add_parser("rehearse", help="let the model fail for new tickets")
    rehearsal.add_argument("fault")
    rehearsal.add_argument("tickets", type=int)
    task = commands.add_parser("invoke", help="run one task with an event from events/")
    task.add_argument("task")
    task.add_argument("event")
    return parser


def _stop(settings: Settings) -> None:
    running = running_processes(settings.folder)
    terminate(running)
    # A stack that was killed could not remove them itself.
    remove_temporary_files(settings)
    echo(f"Stopped {len(running)} processes." if running else "No local stack is running.")


def _report_running(settings: Settings) -> int:
    if not running_processes(settings.folder):
        return 1
    echo(f"A local stack is running from {settings.folder}: stop it first with `make stop`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
