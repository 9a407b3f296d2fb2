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
    """Remove the addresses, keys and tokens of a stack that has stopped, and its temporary folder."""
    for name in _FILES:
        (settings.folder / name).unlink(missing_ok=True)
    shutil.rmtree(settings.temporary, ignore_errors=True)
