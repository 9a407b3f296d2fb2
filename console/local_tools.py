"""What only a local stack offers: its demo users, the mails that it would send, and faults of its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from ops.queue import Queue

# Fault → what the model does.
FAULTS = {
    "deny": "denies every call: new tickets fail",
    "throttle": "throttles every call: new tickets wait",
    "slow": "takes 30 seconds for every call: new tickets are tried again, and wait",
}


class LocalTools:
    """The tools of the stack that `make run` has started in the folder; `fault` is what this console set."""

    def __init__(self, folder: Path, sqs: Any) -> None:
        stack = json.loads((folder / "stack.json").read_text())
        self._mailbox = Queue(sqs, stack["mailboxQueueUrl"], wait_seconds=0)
        self._faults_url = f"{stack['modelUrl']}/faults"
        self.passwords: Mapping[str, str] = json.loads((folder / "passwords.json").read_text())
        self.fault = ""

    def mails(self) -> list[Mapping[str, Any]]:
        """The mails, newest first; they stay in the mailbox for `make mail`. Raises botocore's errors."""
        with self._mailbox.receive_all() as messages:
            mails = [json.loads(message.body) | {"at": message.sent_at} for message in messages]
        return sorted(mails, key=lambda mail: mail["at"], reverse=True)

    def set_fault(self, fault: str) -> None:
        """Let the model fail for every call; with an empty name, end that. Raises httpx.HTTPError."""
        faults = {fault: 1} if fault in FAULTS else {}
        httpx.post(self._faults_url, json=faults, trust_env=False).raise_for_status()
        self.fault = "".join(faults)
