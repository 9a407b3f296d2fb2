"""Keep SNS messages out of the emulator's log.

The emulator logs the beginning of every message that is published to a topic or as an SMS. Notifications
contain what customers wrote. This module removes the text from these lines.
"""

import inspect
import logging

from ministack.services import sns

from devtools.emulator import patch

# The message is the last argument of each format.
_FORMATS = ("SNS%s publish to %s: %s", "SNS SMS to %s: %s")


def install() -> None:
    """Extend the emulator."""
    source = inspect.getsource(sns)
    for text in _FORMATS:
        if source.count(f'"{text}"') != 1:
            raise patch.EmulatorChangedError(
                f"ministack.services.sns does not log {text!r} exactly once: "
                "devtools/emulator cannot redact messages."
            )
    logging.getLogger("sns").addFilter(_redact)


def _redact(record: logging.LogRecord) -> bool:
    if record.msg in _FORMATS and isinstance(record.args, tuple):
        record.args = (*record.args[:-1], "…")
    return True
