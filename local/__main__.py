"""The command line behind the Makefile: `python -m local run | stop | token | mail | invoke TASK EVENT`."""

import argparse
import sys

from local.invoke import invoke
from local.mail import read_mail
from local.processes import end, registered
from local.run import run, say
from local.settings import Settings, StackError
from local.state import Stack
from local.users import renew_tokens


def main() -> int:
    """Do what was asked; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start the stack, and stop it on Ctrl-C")
    commands.add_parser("stop", help="end a stack that was left behind")
    commands.add_parser("token", help="renew the demo users' tokens")
    commands.add_parser("mail", help="show the mails that the support team would have got")
    task = commands.add_parser("invoke", help="run one task with an event from events/")
    task.add_argument("task")
    task.add_argument("event")
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment()
        match arguments.command:
            case "run":
                run(settings)
            case "stop":
                _stop(settings)
            case "token":
                renew_tokens(Stack.load(settings.folder), settings.folder)
                say(f"New tokens are in {settings.folder}: token, agent-token and admin-token.")
            case "mail":
                read_mail(Stack.load(settings.folder))
            case "invoke":
                return invoke(Stack.load(settings.folder), arguments.task, arguments.event)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _stop(settings: Settings) -> None:
    running = registered(settings.folder)
    end(running)
    say(f"Ended {len(running)} processes." if running else "No local stack is running.")


if __name__ == "__main__":
    sys.exit(main())
