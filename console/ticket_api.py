"""The HTTP API, called with the token of the signed-in user: it decides who may see and change what."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from console.errors import ApiProblem
from ops.log_reader import json_object


class TicketApi:
    """Each method raises ApiProblem, if the API refuses, or httpx.HTTPError, if it does not answer."""

    def __init__(self, http: httpx.Client, id_token: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {id_token}"}

    def search(self, **parameters: str | int) -> dict[str, Any]:
        """A page of tickets, newest first, and the cursor of the next one. Ignores empty parameters."""
        given = {name: value for name, value in parameters.items() if value != ""}
        return self.send("GET", "tickets", params=given)

    def send(self, method: str, *path: str, **content: Any) -> dict[str, Any]:
        """Send a request to the path of these parts, with httpx's `json` or `params`."""
        url = "/" + "/".join(quote(part, safe="") for part in path)
        response = self._http.request(method, url, headers=self._headers, **content)
        document = json_object(response.text)
        if response.is_success:
            return document
        title = document.get("title") or document.get("message") or f"The API answers {response.status_code}"
        raise ApiProblem(response.status_code, f"{title}. {document.get('detail') or ''}".strip())
