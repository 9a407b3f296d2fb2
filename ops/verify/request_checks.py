"""Does the API refuse what it has to refuse, and how?"""

from __future__ import annotations

import uuid

from ops.verify.api_checks import DEPLOY, METHODS, REFUSALS
from ops.verify.finding import CheckError, Finding, failed, judged, ok, warning
from ops.verify.site import Site, answered

SECURITY_HEADERS = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none';",
}


def refusals(site: Site) -> Finding:
    """What the stage itself answers to who has no credentials, on every method."""
    problems = []
    for name, protection in METHODS.items():
        verb, path = name.split()
        answer = site.api.send(
            "DELETE" if verb == "ANY" else verb,
            path.replace("{ticketId}", str(uuid.uuid4())).replace("{proxy+}", "no/such/path"),
            body={} if verb in ("POST", "PATCH") else None,
        )
        if answer.status_code != REFUSALS[protection]:
            problems.append(f"{name} answered {answered(answer)} in place of {REFUSALS[protection]}")
    return judged(problems, "Without credentials every method refuses, as docs/security.md says.", DEPLOY)


def headers(site: Site) -> Finding:
    """The headers of every answer that the check has got, errors too."""
    expected = SECURITY_HEADERS | {"access-control-allow-origin": site.stack.parameters["AllowedOrigin"]}
    if not site.api.answers:
        raise CheckError("The API has not answered at all.")
    missing = {
        f"{name} on {answer.status_code}"
        for answer in site.api.answers
        for name, value in expected.items()
        if answer.headers.get(name) != value
    }
    forms = {
        f"application/problem+json on {answer.status_code}"
        for answer in site.api.answers
        if answer.status_code >= 400 and answer.headers.get("content-type") != "application/problem+json"
    }
    errors = sum(answer.status_code >= 400 for answer in site.api.answers)
    return judged(
        [f"without {what}" for what in sorted(missing | forms)],
        f"All {len(site.api.answers)} answers, {errors} of them errors, have the security headers.",
        DEPLOY,
    )


def unknown_path(site: Site) -> Finding:
    """API Gateway quotes a token that it takes for a signature, where a path is not in the contract."""
    secret = f"not-a-token-{uuid.uuid4()}"
    answer = site.api.send("GET", f"/{secret}", token=secret)
    if secret in answer.text or secret in str(answer.headers):
        return failed("The answer for an unknown path quotes the caller's token.", DEPLOY)
    if answer.status_code != 404:
        return failed(f"An unknown path with a token is answered {answered(answer)}.", DEPLOY)
    return ok("An unknown path with a token is 404, and the answer quotes nothing.")


def tokens(site: Site) -> Finding:
    """Only an ID token of the pool opens something."""
    given = {
        "text that is not a token": "not.a.token",
        "an access token": site.customer.access_token,
        "an ID token with another signature": f"{site.customer.id_token.rpartition('.')[0]}.{'A' * 342}",
    }
    problems = [
        f"{what} is answered {answered(answer)}"
        for what, token in given.items()
        if (answer := site.api.send("GET", "/tickets", token=token)).status_code != 401
    ]
    if problems:
        return failed("; ".join(problems) + ".", DEPLOY)
    own = site.api.send("GET", "/tickets", token=site.customer.id_token)
    if own.status_code != 200:
        return failed(f"The customer's own ID token is answered {answered(own)}.", DEPLOY)
    return ok("Access tokens and forged tokens are 401, an ID token opens the customer's tickets.")


def invalid_bodies(site: Site) -> Finding:
    """What the contract does not allow is refused before anything starts."""
    token = site.customer.id_token
    problems = [
        f"{what} is answered {answered(answer)}"
        for what, body in (
            ("a ticket without content", {"subject": site.mark}),
            ("content that is a number", {"subject": site.mark, "content": 1}),
            ("content of 8,001 characters", {"subject": site.mark, "content": "x" * 8001}),
        )
        if (answer := site.api.send("POST", "/support-request", token=token, body=body)).status_code != 400
    ]
    return judged(problems, "Tickets without content, of a wrong type or too long are 400.", DEPLOY)


def media_type(site: Site) -> Finding:
    """What is not JSON."""
    answer = site.api.send(
        "POST",
        "/support-request",
        token=site.customer.id_token,
        body={"subject": site.mark, "content": "x"},
        headers={"Content-Type": "text/plain"},
    )
    if answer.status_code == 415:
        return ok("A body that is not JSON is 415.")
    advice = "AWS looks for a template in another way than the tests assume; see docs/aws.md."
    return (failed if answer.status_code < 300 else warning)(f"It is answered {answered(answer)}.", advice)
