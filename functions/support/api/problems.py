"""The API's errors as problem details (RFC 9457), and the headers of every response.

API Gateway's own errors use the same format; see the gateway responses in api/openapi.source.yaml.
"""

import json
import os
from dataclasses import dataclass
from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response

from support.domain import refusals
from support.domain.refusals import Refusal

HEADERS = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none';",
    "Access-Control-Allow-Origin": os.environ["ALLOWED_ORIGIN"],
}
_RETRY = {"Retry-After": "5", "Access-Control-Expose-Headers": "Retry-After"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of error; `name` is the end of its type URI."""

    name: str
    status: HTTPStatus
    title: str

    @property
    def type(self) -> str:
        """The URI that identifies the kind of error."""
        return f"urn:support-pipeline:{self.name}"

    def response(self, detail: str) -> Response[str]:
        """The response; `detail` says what is wrong with this request, and what to do."""
        return Response(
            status_code=self.status,
            content_type="application/problem+json",
            headers=_RETRY if self.status is HTTPStatus.SERVICE_UNAVAILABLE else {},
            body=json.dumps(
                {"type": self.type, "title": self.title, "status": self.status, "detail": detail}
            ),
        )


UNAVAILABLE = Problem("unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "The service is unavailable")
_CONFLICT = HTTPStatus.CONFLICT
_BY_REFUSAL: dict[type[Refusal], Problem] = {
    refusals.InvalidRequest: Problem("invalid-request", HTTPStatus.BAD_REQUEST, "The request is not valid"),
    refusals.Forbidden: Problem("forbidden", HTTPStatus.FORBIDDEN, "You do not have permission"),
    refusals.NotFound: Problem("not-found", HTTPStatus.NOT_FOUND, "Not found"),
    refusals.VersionConflict: Problem("version-conflict", _CONFLICT, "The ticket has changed"),
    refusals.TransitionNotAllowed: Problem(
        "transition-not-allowed", _CONFLICT, "The ticket's status does not allow this change"
    ),
    refusals.NotAnalysed: Problem("not-analysed", _CONFLICT, "The ticket has no analysis yet"),
    refusals.NothingToReplay: Problem("nothing-to-replay", _CONFLICT, "There is nothing to replay"),
    refusals.FeedbackClosed: Problem("feedback-closed", _CONFLICT, "The feedback can no longer be changed"),
}
PROBLEMS = (*_BY_REFUSAL.values(), UNAVAILABLE)


def refusal_response(refusal: Refusal) -> Response[str]:
    """The response to a request that is refused."""
    return _BY_REFUSAL[type(refusal)].response(str(refusal))
