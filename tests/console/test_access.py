"""Nobody sees anything without a session, customers only tickets, and other sites nothing at all."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from starlette.routing import BaseRoute, Mount, Route

from console.app import create_app
from console.views import Console
from tests.console.conftest import PASSWORD, Api, Cognito, SignedIn, aws_error, browser

ANYONE = {"/console/sign-in", "/console/health"}
CUSTOMERS = {"/console/", "/console/sign-out", "/console/new-ticket"}


def routes(found: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every method and path of the app, except files."""
    for route in found:
        if isinstance(route, Mount):
            yield from routes(route.routes or [], prefix + route.path)
        elif isinstance(route, Route):
            path = (prefix + route.path).format(ticket_id="t-1", execution="e-1")
            yield from ((method, path) for method in (route.methods or set()) - {"HEAD"})


def all_routes(console: Console) -> list[tuple[str, str]]:
    found = sorted(routes(create_app(console).routes))
    assert len(found) >= 15
    return [(method, path) for method, path in found if path not in ANYONE and path != "/"]


def test_signed_out_every_page_leads_to_the_form_and_shows_nothing(local_console: Console, api: Api) -> None:
    client = browser(local_console)

    for method, path in all_routes(local_console):
        response = client.request(method, path)
        assert response.status_code == 303, path
        assert response.headers["location"].startswith("/console/sign-in"), path
        assert response.text == ""
    assert not api.requests


def test_customers_see_only_pages_about_tickets(console: Console, signed_in: SignedIn) -> None:
    client = signed_in("customer")

    for method, path in all_routes(console):
        is_for_customers = path in CUSTOMERS or path.startswith("/console/tickets")
        if method == "GET" and not is_for_customers:
            response = client.get(path)
            assert response.status_code == 403, path
            assert "Only agents and admins" in response.text
    assert client.get("/console/").headers["location"] == "/console/tickets"
    assert "/console/executions" not in client.get("/console/tickets").text


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://localhost:3001"])
def test_forms_of_other_sites_are_refused(
    local_console: Console, api: Api, cognito: Cognito, origin: str | None
) -> None:
    client = browser(local_console)
    client.headers.clear()
    headers = {"Origin": origin} if origin else {}
    posts = [path for method, path in sorted(routes(create_app(local_console).routes)) if method == "POST"]

    assert len(posts) == 5
    for path in posts:
        assert client.post(path, headers=headers).status_code == 403, path
    assert not api.requests
    assert not cognito.calls


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:3000", "10.0.0.1:3000"])
def test_pages_whose_host_name_resolves_to_this_machine_read_nothing(console: Console, host: str) -> None:
    client = browser(console)

    for path in ("/", "/console/sign-in", "/console/static/console.js"):
        assert client.get(path, headers={"Host": host}).status_code == 400


def test_every_response_has_a_strict_policy_and_no_page_has_code_in_it(
    local_console: Console, api: Api
) -> None:
    client = browser(local_console)
    client.post("/console/sign-in", data={"demo": "admin@example.com"})

    for path in ("sign-in", "overview", "executions", "tickets", "new-ticket", "mails", "static/console.js"):
        response = client.get(f"/console/{path}")
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert response.headers["referrer-policy"] == "same-origin"
        is_file = path.startswith("static")
        assert response.headers["cache-control"] == ("no-cache" if is_file else "no-store")
        if not is_file:
            assert "<style" not in response.text
            assert " style=" not in response.text
            assert " onclick" not in response.text
            assert response.text.count("<script") == response.text.count("<script src=") == 5


def test_the_sessions_cookie_is_out_of_reach_of_scripts_and_other_sites(console: Console) -> None:
    client = browser(console)

    response = client.post("/console/sign-in", data={"user": "agent@example.com", "password": PASSWORD})

    name, *attributes = response.headers["set-cookie"].split("; ")
    assert name.startswith("console-3000=")
    assert set(attributes) == {"HttpOnly", "Path=/console", "SameSite=strict"}
    assert client.get("/console/tickets").status_code == 200
    client.post("/console/sign-out")
    assert client.get("/console/tickets").status_code == 303


def test_a_wrong_password_is_refused_and_the_reason_is_shown(console: Console) -> None:
    response = browser(console).post("/console/sign-in", data={"user": "a@example.com", "password": "no"})

    assert response.status_code == 403
    assert "Incorrect username or password." in response.text
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("challenge", "answer"),
    [("NEW_PASSWORD_REQUIRED", "NEW_PASSWORD"), ("SOFTWARE_TOKEN_MFA", "SOFTWARE_TOKEN_MFA_CODE")],
)
def test_a_challenge_is_answered_in_a_second_form(
    console: Console, cognito: Cognito, challenge: str, answer: str
) -> None:
    client = browser(console)
    cognito.challenge = challenge

    form = client.post("/console/sign-in", data={"user": "agent@example.com", "password": PASSWORD})
    fields = {"challenge": challenge, "user": "sub-of-agent@example.com", "session": "s-1"}
    for name, value in fields.items():
        assert f'<input type="hidden" name="{name}" value="{value}">' in form.text
    response = client.post("/console/sign-in", data={**fields, "answer": "typed"})

    assert response.status_code == 303
    assert cognito.calls[-1]["ChallengeResponses"] == {
        "USERNAME": "sub-of-agent@example.com",
        answer: "typed",
    }
    assert client.get("/console/tickets").status_code == 200


def test_other_challenges_are_named(console: Console, cognito: Cognito) -> None:
    cognito.challenge = "SMS_MFA"

    response = browser(console).post(
        "/console/sign-in", data={"user": "agent@example.com", "password": PASSWORD}
    )

    assert "does not support Cognito&#39;s SMS_MFA" in response.text


def test_an_expired_token_is_renewed_and_an_expired_session_ends(
    cognito: Cognito, signed_in: SignedIn, api: Api
) -> None:
    cognito.token_seconds = 30
    client = signed_in("agent")

    assert client.get("/console/tickets").status_code == 200
    assert cognito.calls[-1]["AuthFlow"] == "REFRESH_TOKEN_AUTH"

    cognito.error = aws_error("NotAuthorizedException", "AdminInitiateAuth", "Refresh Token has expired")
    assert client.get("/console/tickets").status_code == 303
    cognito.error = None
    assert client.get("/console/tickets").status_code == 303


def test_a_page_that_updates_itself_leads_to_the_form_when_the_session_has_ended(console: Console) -> None:
    response = browser(console).get("/console/executions", headers={"HX-Request": "true"})

    assert response.headers["hx-redirect"] == "/console/sign-in"


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/console/executions?status=failed", "/console/executions?status=failed"),
        ("https://evil.example/console/", "/console/"),
        ("//evil.example", "/console/"),
        ("", "/console/"),
    ],
)
def test_after_the_sign_in_the_wanted_page_is_shown_but_none_of_another_site(
    console: Console, target: str, location: str
) -> None:
    client = browser(console)
    form: dict[str, Any] = {"user": "agent@example.com", "password": PASSWORD, "next": target}

    assert client.post("/console/sign-in", data=form).headers["location"] == location


def test_the_form_keeps_the_wanted_page(console: Console) -> None:
    client = browser(console)

    location = client.get("/console/executions?status=failed").headers["location"]

    assert location == "/console/sign-in?next=%2Fconsole%2Fexecutions%3Fstatus%3Dfailed"
    assert 'value="/console/executions?status=failed"' in client.get(location).text


def test_demo_users_sign_in_without_a_password_only_on_a_local_stack(
    console: Console, local_console: Console
) -> None:
    demo = {"demo": "admin@example.com"}

    assert browser(local_console).post("/console/sign-in", data=demo).status_code == 303
    assert browser(console).post("/console/sign-in", data=demo).status_code == 403
