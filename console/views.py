"""The pages: each view answers one request, with the data of the stack."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import httpx
from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.errors import ApiProblem
from console.execution import pretty, state_views, status_of, timeline
from console.executions import MARGIN, STATUSES, ExecutionIndex, select, ticket_of
from console.graph import parse_graph
from console.local_tools import FAULTS, LocalTools
from console.overview import Overview
from console.sessions import NOBODY, ChallengeRequired, Session, Sessions, SignInRefused
from console.ticket_api import TicketApi
from ops.execution_log import MAX_DURATION, execution_name
from ops.execution_states import read_executions_named
from ops.formatting import short_duration
from ops.log_reader import TimeWindow
from ops.stack import DeployedStack
from support.domain.analysis_schema import CATEGORIES, URGENCIES

RANGES = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "6h": timedelta(hours=6)}
RANGES |= {"24h": timedelta(days=1), "7d": timedelta(days=7)}
MOST_URGENT_FIRST = URGENCIES[::-1]
_FILTERS = ("status", "urgency", "category", "needsReview", "cursor", "createdAfter", "createdBefore")


class Console:
    """What the pages show, and the sessions of those who look at it. `local` is None on AWS."""

    def __init__(self, stack: DeployedStack, local: LocalTools | None) -> None:
        self.stack, self.local = replace(stack, client=cache(stack.client)), local
        client, output = self.stack.client, self.stack.output
        self.index = ExecutionIndex(client("logs"), output("StateMachineLogGroup"))
        self.sessions = Sessions(client("cognito-idp"), output("UserPoolId"), output("UserPoolClientId"))
        # A proxy for AWS may not reach a local stack.
        self.http = httpx.Client(base_url=stack.api_url, timeout=35, trust_env=local is None)
        self.overview = Overview(self.stack)


@dataclass(slots=True)
class Visit:
    """A request, the fields of its form and its session."""

    request: Request
    console: Console
    form: Mapping[str, str]
    session: Session = NOBODY

    @property
    def api(self) -> TicketApi:
        """The API, called as the user."""
        return TicketApi(self.console.http, self.session.id_token)

    @property
    def cookie_name(self) -> str:
        """The session's cookie; browsers share cookies between the ports of a host."""
        return f"console-{self.request.url.port or 80}"

    def query(self, name: str) -> str:
        """A parameter of the URL."""
        return self.request.query_params.get(name, "")

    def render(self, template: str, code: int = 200, /, **values: Any) -> Response:
        """A page."""
        context = {"visit": self, "console": self.console, "session": self.session, **values}
        return HTMLResponse(_TEMPLATES.get_template(template).render(context), code)


def _time(moment: Any) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True, trim_blocks=True
)
_TEMPLATES.policies["json.dumps_kwargs"] = {"sort_keys": False}
_TEMPLATES.globals |= {"faults": FAULTS, "categories": tuple(CATEGORIES), "urgencies": MOST_URGENT_FIRST}
_TEMPLATES.globals |= {"ranges": RANGES, "execution_statuses": STATUSES}
_TEMPLATES.filters.update(
    age=lambda moment: short_duration(datetime.now(UTC) - _time(moment)),
    clock=lambda moment: f"{_time(moment):%Y-%m-%d %H:%M:%S}" if moment else "-",
    epoch=lambda moment: int(_time(moment).timestamp()),
    pretty=pretty,
    seconds=lambda duration: "-" if duration is None else f"{duration.total_seconds():.2f} s",
)


def sign_in_form(visit: Visit, message: str = "", challenge: ChallengeRequired | None = None) -> Response:
    """The form, or that for a challenge."""
    demo_users = visit.console.local.passwords if visit.console.local else {}
    values = {"message": message, "challenge": challenge, "demo_users": demo_users}
    return visit.render("sign_in.html", 403 if message else 200, **values)


def sign_in(visit: Visit) -> Response:
    """Sign in with a password, as a demo user, or with the answer to a challenge."""
    form, sessions, local = visit.form, visit.console.sessions, visit.console.local
    try:
        if form["challenge"]:
            session_id = sessions.answer(form["challenge"], form["user"], form["session"], form["answer"])
        else:
            password = local.passwords.get(form["demo"]) if local else None
            session_id = sessions.sign_in(form["demo"] or form["user"], password or form["password"])
    except SignInRefused as refusal:
        return sign_in_form(visit, str(refusal))
    except ChallengeRequired as challenge:
        return sign_in_form(visit, challenge=challenge)
    target = form["next"] if form["next"].startswith("/console/") else "/console/"
    response = RedirectResponse(target, 303)
    response.set_cookie(visit.cookie_name, session_id, path="/console", httponly=True, samesite="strict")
    return response


def sign_out(visit: Visit) -> Response:
    """End the session."""
    visit.console.sessions.end(visit.request.cookies[visit.cookie_name])
    return RedirectResponse("/console/sign-in", 303)


def start(visit: Visit) -> Response:
    """The first page of a user."""
    return RedirectResponse("/console/overview" if visit.session.is_staff else "/console/tickets")


def executions(visit: Visit) -> Response:
    """The list."""
    now, index = datetime.now(UTC), visit.console.index
    choice = visit.query("range") if visit.query("range") in RANGES else "1h"
    since = now - RANGES[choice]
    filters = {name: visit.query(name).strip() for name in ("status", "ticket", "after")}
    found, after = select(index.read(since), now, **filters)
    values = {"executions": found, "after": after, "range": choice, "since": since, "now": now}
    return visit.render("executions.html", **values, index=index)


def execution(visit: Visit) -> Response:
    """One execution, by its ARN or its name; `at` is about when it ran, in epoch seconds."""
    now, wanted, at = datetime.now(UTC), visit.request.path_params["execution"], visit.query("at")
    around = datetime.fromtimestamp(max(3600, int(at[:10])), UTC) if at.isdecimal() else now
    margin = MAX_DURATION + MARGIN
    stack, name = visit.console.stack, execution_name(wanted)
    window = TimeWindow(around - margin, around + margin)
    found = read_executions_named(stack.client("logs"), stack.output("StateMachineLogGroup"), name, window)
    # Names can be repeated: then the last one.
    shown = next((one for one in reversed(found) if wanted in (one.arn, one.name)), None)
    status = status_of(shown, now) if shown else "waiting" if now - around < margin else "unknown"
    states = state_views(shown, status) if shown else []
    graph = _graph(stack.client("stepfunctions"), stack.output("StateMachineArn"), int(time.time() // 60))
    return visit.render(
        "execution.html",
        name=name,
        execution=shown,
        ticket_id=ticket_of(shown.events[0]) if shown else "",
        status=status,
        states=states,
        others=[(one, status_of(one, now)) for one in found if one is not shown],
        graph={**graph, "visited": [(view.state.name, view.result, view.summary) for view in states]},
        timeline=timeline(shown, states, now) if shown else [],
    )


@lru_cache(maxsize=1)
def _graph(client: Any, arn: str, _minute: int) -> dict[str, Any]:
    """The graph of the deployed definition, which is read again every minute."""
    return parse_graph(client.describe_state_machine(stateMachineArn=arn)["definition"])


def inbox(visit: Visit) -> Response:
    """A page of tickets, the most urgent and oldest first."""
    chosen = {name: visit.query(name) for name in _FILTERS}
    # A browser's field for a time has no zone: it is read as UTC.
    times = {name: f"{chosen[name]}:00Z" for name in _FILTERS[-2:] if len(chosen[name]) == 16}
    page = visit.api.search(limit=100, **{**chosen, **times})
    rank = {urgency: number for number, urgency in enumerate(MOST_URGENT_FIRST)}
    tickets = sorted(page["tickets"], key=lambda one: (rank.get(one.get("urgency"), 9), one["createdAt"]))
    return visit.render("tickets.html", tickets=tickets, cursor=page.get("cursor"), chosen=chosen)


def ticket(visit: Visit, problem: ApiProblem | None = None) -> Response:
    """One ticket; `problem` says why the last change was refused."""
    ticket_id = visit.request.path_params["ticket_id"]
    try:
        found = visit.api.send("GET", "tickets", ticket_id)
    except ApiProblem as error:
        if error.status != 404 or not visit.query("new"):
            raise
        found = {"ticketId": ticket_id, "status": "RECEIVED"}  # It is not stored yet.
    is_waiting = found["status"] == "RECEIVED" or "waitingSince" in found
    code = problem.status if problem else 200
    return visit.render("ticket.html", code, ticket=found, is_waiting=is_waiting, problem=problem)


def change_ticket(visit: Visit) -> Response:
    """Change a ticket, reply to it, rate it or replay it; then show it again."""
    ticket_id, form = visit.request.path_params["ticket_id"], visit.form
    version, rating = (int(form[name]) if form[name].isdecimal() else 0 for name in ("version", "rating"))
    changes = {name: form[name] for name in ("status", "assignee", "urgency", "category") if name in form}
    comment = {"comment": form["comment"]} if form["comment"] else {}
    method, path, body = {
        "approve": ("POST", ["reply"], {"version": version}),
        "reply": ("POST", ["reply"], {"version": version, "text": form["text"]}),
        "feedback": ("POST", ["feedback"], {"rating": rating, **comment}),
        "replay": ("POST", ["replay"], None),
    }.get(form["action"], ("PATCH", [], {"version": version, **changes}))
    try:
        visit.api.send(method, "tickets", ticket_id, *path, json=body)
    except ApiProblem as problem:
        return ticket(visit, problem)
    return RedirectResponse(visit.request.url.path, 303)


def new_ticket_form(visit: Visit, problem: ApiProblem | None = None) -> Response:
    """The form of a new ticket."""
    return visit.render("new_ticket.html", problem.status if problem else 200, problem=problem)


def new_ticket(visit: Visit) -> Response:
    """Submit a ticket, and show its execution or, to a customer, the ticket."""
    submission = {name: visit.form[name] for name in ("subject", "content") if visit.form[name]}
    try:
        ticket_id = visit.api.send("POST", "support-request", json=submission)["ticketId"]
    except ApiProblem as problem:
        return new_ticket_form(visit, problem)
    page = (
        f"executions/{ticket_id}?at={int(time.time())}"
        if visit.session.is_staff
        else f"tickets/{ticket_id}?new=1"
    )
    return RedirectResponse(f"/console/{page}", 303)


def set_fault(visit: Visit, local: LocalTools) -> Response:
    """Start a fault of the local model, or end it."""
    local.set_fault(visit.form["fault"])
    return RedirectResponse("/console/new-ticket", 303)
