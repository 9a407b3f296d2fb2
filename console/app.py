"""The web application: its routes, who may use each of them, and what every response has in common."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console import views
from console.errors import ApiProblem, advice
from console.views import Console, Visit

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would then send `Origin: null` with forms.
    "Referrer-Policy": "same-origin",
}
_TICK_SECONDS = 0.5

type View = Callable[[Visit], Response]


def create_app(console: Console, is_stopping: Callable[[], bool] = lambda: False) -> Starlette:
    """The application. `is_stopping` ends the streams, so that the server can stop at once."""

    def page(path: str, view: View, method: str = "GET", who: str = "user") -> Route:
        return Route(path, partial(_respond, console, view, who), methods=[method])

    pages = [
        Route("/health", lambda _request: PlainTextResponse("ok")),
        page("/sign-in", views.sign_in_form, who="anyone"),
        page("/sign-in", views.sign_in, "POST", who="anyone"),
        page("/sign-out", views.sign_out, "POST"),
        page("/", views.start),
        page("/tickets", views.inbox),
        page("/tickets/{ticket_id}", views.ticket),
        page("/tickets/{ticket_id}", views.change_ticket, "POST"),
        page("/new-ticket", views.new_ticket_form),
        page("/new-ticket", views.new_ticket, "POST"),
        page(
            "/overview",
            lambda visit: visit.render("overview.html", **console.overview.read(visit.api)),
            who="staff",
        ),
        page("/executions", views.executions, who="staff"),
        page("/executions/{execution}", views.execution, who="staff"),
        page("/events", lambda visit: _stream(visit.console, is_stopping), who="staff"),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    if local := console.local:
        pages += [
            page("/mails", lambda visit: visit.render("mails.html", mails=local.mails()), who="staff"),
            page("/fault", lambda visit: views.set_fault(visit, local), "POST", who="staff"),
        ]
    # A page whose host name resolves to 127.0.0.1 must not read anything (DNS rebinding).
    hosts = Middleware(TrustedHostMiddleware, ["localhost", "127.0.0.1"], www_redirect=False)
    headers = Middleware(BaseHTTPMiddleware, _add_headers)
    start = Route("/", lambda _request: RedirectResponse("/console/"))
    return Starlette(routes=[start, Mount("/console", routes=pages)], middleware=[headers, hosts])


async def _respond(console: Console, view: View, who: str, request: Request) -> Response:
    form: dict[str, str] = defaultdict(str)
    if request.method == "POST":
        # Browsers send the origin with every form; together with the cookie's SameSite=Strict, against CSRF.
        if request.headers.get("origin") != f"{request.url.scheme}://{request.url.netloc}":
            return PlainTextResponse("Forms of other sites are refused.", 403)
        # Forms send line breaks as CRLF.
        fields = (await request.form()).items()
        form |= {name: str(value).replace("\r\n", "\n") for name, value in fields}
    return await run_in_threadpool(_view, Visit(request, console, form), view, who)


def _view(visit: Visit, view: View, who: str) -> Response:
    try:
        visit.session = visit.console.sessions.find(visit.request.cookies.get(visit.cookie_name, ""))
        if who != "anyone" and not visit.session.user:
            return _to_sign_in(visit.request)
        if who == "staff" and not visit.session.is_staff:
            return visit.render("error.html", 403, message="Only agents and admins may see this page.")
        return view(visit)
    except ApiProblem as problem:
        return visit.render("error.html", problem.status, message=str(problem))
    except (ClientError, BotoCoreError, httpx.HTTPError) as error:
        return visit.render("error.html", 502, message=advice(error))


def _to_sign_in(request: Request) -> Response:
    if "hx-request" in request.headers:
        return Response(headers={"HX-Redirect": "/console/sign-in"})
    page = request.url.replace(scheme="", netloc="") if request.method == "GET" else ""
    return RedirectResponse(f"/console/sign-in?{urlencode({'next': page})}", 303)


def _stream(console: Console, is_stopping: Callable[[], bool]) -> Response:
    """Server-sent events: `executions` whenever the list has changed, and comments in between."""

    async def events() -> AsyncIterator[str]:
        version = console.index.version
        while not is_stopping():
            console.index.watch()
            yield ":\n\n" if console.index.version == version else "event: executions\ndata: changed\n\n"
            version = console.index.version
            await asyncio.sleep(_TICK_SECONDS)

    return StreamingResponse(events(), media_type="text/event-stream")


async def _add_headers(request: Request, respond: RequestResponseEndpoint) -> Response:
    response = await respond(request)
    # The back button must not show pages after the sign-out; files may be kept.
    caching = "no-cache" if "etag" in response.headers else "no-store"
    response.headers.update(_HEADERS | {"Cache-Control": caching})
    return response
