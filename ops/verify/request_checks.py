"""Checks that the API refuses invalid requests, and how it does."""

from __future__ import annotations

import uuid

from ops.verify.api_checks import API_ADVICE, METHODS, REFUSALS
from ops.verify.api_client import describe
from ops.verify.check_result import CheckError, CheckResult, failed, ok, ok_unless, warning
from ops.verify.context import CheckContext

SECURITY_HEADERS = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none';",
}


def no_credentials(context: CheckContext) -> CheckResult:
    """The deployed stage refuses requests without credentials, on every method."""
    problems = []
    for name, authorization in METHODS.items():
        verb, path = name.split()
        response = context.api.send(
            "DELETE" if verb == "ANY" else verb,
            path.replace("{ticketId}", str(uuid.uuid4())).replace("{proxy+}", "no/such/path"),
            body={} if verb in ("POST", "PATCH") else None,
        )
        if response.status_code != REFUSALS[authorization]:
            problems.append(f"{name} returned {describe(response)} instead of {REFUSALS[authorization]}")
    return ok_unless(
        problems,
        "Without credentials every method refuses requests as docs/security.md says.",
        API_ADVICE,
    )


def headers(context: CheckContext) -> CheckResult:
    """All responses so far have the security headers, including errors."""
    responses = context.api.responses
    if not responses:
        raise CheckError("The API has not responded at all.")
    expected = SECURITY_HEADERS | {"access-control-allow-origin": context.stack.parameters["AllowedOrigin"]}
    errors = [response for response in responses if response.status_code >= 400]
    missing = {
        f"{name} on {response.status_code}"
        for response in responses
        for name, value in expected.items()
        if response.headers.get(name) != value
    }
    wrong_types = {
        f"application/problem+json on {response.status_code}"
        for response in errors
        if response.headers.get("content-type") != "application/problem+json"
    }
    return ok_unless(
        [f"missing: {what}" for what in sorted(missing | wrong_types)],
        f"All {len(responses)} responses, including {len(errors)} errors, have the security headers.",
        API_ADVICE,
    )


def unknown_path(context: CheckContext) -> CheckResult:
    """The response for an unknown path does not quote the token, as API Gateway's default response does."""
    secret = f"not-a-token-{uuid.uuid4()}"
    response = context.api.send("GET", f"/{secret}", token=secret)
    if secret in response.text or secret in str(response.headers):
        return failed("The response for an unknown path quotes the caller's token.", API_ADVICE)
    if response.status_code != 404:
        return failed(f"An unknown path with a token returned {describe(response)}.", API_ADVICE)
    return ok("An unknown path with a token returns 404, and the response does not quote the token.")


def tokens(context: CheckContext) -> CheckResult:
    """The API accepts only ID tokens of the user pool."""
    invalid_tokens = {
        "text that is not a token": "not.a.token",
        "an access token": context.customer.access_token,
        "an ID token with another signature": f"{context.customer.id_token.rpartition('.')[0]}.{'A' * 342}",
    }
    problems = [
        f"{name} returned {describe(response)}"
        for name, token in invalid_tokens.items()
        if (response := context.api.send("GET", "/tickets", token=token)).status_code != 401
    ]
    if problems:
        return failed("; ".join(problems) + ".", API_ADVICE)
    response = context.api.send("GET", "/tickets", token=context.customer.id_token)
    if response.status_code != 200:
        return failed(f"The customer's own ID token returned {describe(response)}.", API_ADVICE)
    return ok("Access tokens and forged tokens return 401; an ID token returns the customer's tickets.")


def invalid_bodies(context: CheckContext) -> CheckResult:
    """The API refuses bodies that the contract does not allow."""
    token, subject = context.customer.id_token, context.subject_prefix
    problems = [
        f"{name} returned {describe(response)}"
        for name, body in (
            ("a ticket without content", {"subject": subject}),
            ("content that is a number", {"subject": subject, "content": 1}),
            ("content of 8,001 characters", {"subject": subject, "content": "x" * 8001}),
        )
        if (response := context.api.send("POST", "/support-request", token=token, body=body)).status_code
        != 400
    ]
    return ok_unless(problems, "Tickets without content, of a wrong type or too long return 400.", API_ADVICE)


def media_type(context: CheckContext) -> CheckResult:
    """The API refuses a body that is not JSON."""
    response = context.api.send(
        "POST",
        "/support-request",
        token=context.customer.id_token,
        body={"subject": context.subject_prefix, "content": "x"},
        headers={"Content-Type": "text/plain"},
    )
    if response.status_code == 415:
        return ok("A body that is not JSON returns 415.")
    advice = "AWS selects mapping templates differently from what the tests assume; see docs/aws.md."
    is_accepted = response.status_code < 300
    return (failed if is_accepted else warning)(f"It returned {describe(response)}.", advice)
