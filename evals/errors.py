"""The errors of the evals.

EvalError
├── UsageError           an option or a file is wrong: exit code 2
└── ModelUnusable        the model cannot be asked at all: exit code 1
"""


class EvalError(Exception):
    """The message is for the terminal: what is wrong, where, and what to do."""


class UsageError(EvalError):
    """An option or a file is wrong."""


class ModelUnusable(EvalError):
    """The model cannot be asked at all."""
