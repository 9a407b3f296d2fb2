"""The HTTP API, called with the token of the signed-in user: it decides who may see and change what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from console.errors import ApiProblem
from ops.log_reader import json_object

type Document = dict[str, Any]


class TicketApi:
    """Each method raises ApiProblem, if the API refuses, or httpx.HTTPError, if it does not answer."""

    def __init__(self, http: httpx.Client, id_token: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {id_token}"}

    def submit(self, submission: Mapping[str, str]) -> str:
        """Submit a ticket; return its id."""
        return str(self._send("POST", "/support-request", json=submission)["ticketId"])

    def search(self, **parameters: str | int) -> Document:
        """A page of tickets, newest first, and the cursor of the next one."""
        return self._send("GET", "/tickets", params={k: v for k, v in parameters.items() if v != ""})

    def ticket(self, ticket_id: str) -> Document:
        """One ticket."""
        return self._send("GET", _path(ticket_id))

    def change(self, ticket_id: str, fields: Mapping[str, Any]) -> None:
        """Change the status, the assignee, the urgency or the category."""
        self._send("PATCH", _path(ticket_id), json=fields)

    def act(self, ticket_id: str, action: str, fields: Mapping[str, Any] | None = None) -> None:
        """Send a reply, feedback or a replay."""
        self._send("POST", f"{_path(ticket_id)}/{action}", json=fields)

    def _send(self, method: str, path: str, **content: Any) -> Document:
        response = self._http.request(method, path, headers=self._headers, **content)
        document = json_object(response.text)
        if response.is_success:
            return document
        title = document.get("title") or document.get("message") or f"The API answers {response.status_code}"
        raise ApiProblem(response.status_code, str(title), str(document.get("detail") or ""))


def _path(ticket_id: str) -> str:
    return f"/tickets/{quote(ticket_id, safe='')}"
