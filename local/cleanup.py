"""Removing the files that are useful only while a stack runs."""

import shutil

from local.settings import Settings

_FILES = (
    "stack.json",
    "aws.env",
    "token",
    "agent-token",
    "admin-token",
    "passwords.json",
    "service.json",
    "service.curl",
    "processes.json",
)


def remove_temporary_files(settings: Settings) -> None:
    """Remove the addresses, keys, tokens and temporary files of a stack that has stopped.

    The `aws` command of the shell settings remains: in a shell that has sourced them, another AWS CLI could
    call AWS itself.
    """
    for name in _FILES:
        (settings.folder / name).unlink(missing_ok=True)
    shutil.rmtree(settings.temporary, ignore_errors=True)
