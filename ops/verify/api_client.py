"""An HTTP client of the API, as its callers use it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import httpx

from ops.formatting import sanitize
from ops.stack import DeployedStack


class ApiClient:
    """Sends requests, and keeps the responses. The User-Agent of each request contains the run's id."""

    def __init__(self, stack: DeployedStack, run_id: str) -> None:
        self.responses: list[httpx.Response] = []
        self._http = httpx.Client(
            base_url=stack.api_url,
            headers={"User-Agent": f"support-pipeline-verify/{run_id}"},
            timeout=35,
            # A proxy for AWS may not reach a local stack.
            trust_env=stack.web_url is None,
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request, with a JSON body if one is given. Raises httpx.HTTPError: there is no response."""
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        content = None if body is None else json.dumps(body).encode()
        content_type = {"Content-Type": "application/json"} if content else {}
        response = self._http.request(
            method, path, content=content, headers=authorization | content_type | dict(headers or {})
        )
        self.responses.append(response)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def describe(response: httpx.Response) -> str:
    """The status and the problem type of a response. Excludes its text, which may quote a token."""
    try:
        problem_type = response.json().get("type")
    except (ValueError, AttributeError):
        problem_type = None
    status = str(response.status_code)
    return f"{status} ({sanitize(str(problem_type))})" if problem_type else status
