"""What only a local stack offers: its demo users, the mails that it would send, and faults of its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from ops.queue import Queue

# Fault → what the model does with every call.
FAULTS = {
    "deny": "denies every call: new tickets fail",
    "throttle": "throttles every call: new tickets wait",
    "slow": "takes 30 seconds for every call: new tickets are retried, and wait",
}


class LocalTools:
    """The tools of the stack that `make run` has started in the folder."""

    def __init__(self, folder: Path, sqs: Any) -> None:
        stack = json.loads((folder / "stack.json").read_text())
        self._mailbox = Queue(sqs, stack["mailboxQueueUrl"], wait_seconds=0)
        self._faults_url = f"{stack['modelUrl']}/faults"
        self._folder = folder
        self.fault = ""

    def passwords(self) -> Mapping[str, str]:
        """The demo users' passwords by their names."""
        return dict(json.loads((self._folder / "passwords.json").read_text()))

    def mails(self) -> list[Mapping[str, str]]:
        """The mails, newest first; they stay in the mailbox for `make mail`. Raises botocore's errors."""
        with self._mailbox.receive_all() as messages:
            found = sorted(messages, key=lambda message: message.sent_at, reverse=True)
            mails = [(message.sent_at.isoformat(), json.loads(message.body)) for message in found]
        return [{"at": at, "subject": mail["Subject"], "text": mail["Message"]} for at, mail in mails]

    def set_fault(self, fault: str) -> None:
        """Let the model fail for every call; with an empty name, end that. Raises httpx.HTTPError."""
        faults = {fault: 1} if fault in FAULTS else {}
        httpx.post(self._faults_url, json=faults, trust_env=False).raise_for_status()
        self.fault = fault if faults else ""
