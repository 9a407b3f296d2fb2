"""What keeps a command from doing what it was asked."""


class UsageError(Exception):
    """The command cannot be run like this; the message is one sentence that says what to do."""
