"""The pages show what the log and the API say, as text, and say what to do when something is wrong."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.responses import StreamingResponse

from console import app
from console.views import Console
from tests.console.conftest import Api, Aws, SignedIn, aws_error, browser
from tests.console.log_lines import TICKET, History, arn_of, denied

HTML = "<script>alert('x')</script>"
ANALYSIS = {
    "urgency": "HIGH",
    "category": "BILLING",
    "sentiment": "NEGATIVE",
    "language": "en",
    "summary": HTML,
    "response": f"Dear {HTML}",
    "tags": [HTML],
    "confidence": 0.5,
    "needsReview": True,
    "model": {"id": "nova", "inputTokens": 9, "outputTokens": 3, "latencyMs": 2},
}
MOMENT = "2026-01-31T12:00:00.000Z"


def ticket(**fields: Any) -> dict[str, Any]:
    return {
        "ticketId": TICKET,
        "customerId": "c-1",
        "subject": HTML,
        "content": HTML,
        "channel": "web",
        "status": "PROCESSED",
        "createdAt": MOMENT,
        "version": 3,
        "urgency": "LOW",
        "category": "BILLING",
        "analysis": ANALYSIS,
        **fields,
    }


def failed_ticket(**fields: Any) -> dict[str, Any]:
    failure = {"error": "ModelRejected", "cause": HTML, "failedAt": MOMENT}
    return ticket(status="FAILED", analysis=None, failure=failure, **fields)


def now_minus(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_the_list_shows_executions_and_filters_them(aws: Aws, signed_in: SignedIn) -> None:
    aws.add(History("a-1", now_minus(60)).start().succeed())
    aws.add(History("b-2", now_minus(50)).start().add("ExecutionFailed", error="TicketFailed"))
    client = signed_in("agent")

    everything = client.get("/console/executions").text
    failed = client.get("/console/executions?status=failed&range=24h").text

    assert everything.index("b-2") < everything.index("a-1")
    assert 'data-execution="b-2" data-status="failed"' in failed
    assert "a-1" not in failed
    assert 'hx-trigger="sse:executions' in everything
    assert f"/console/executions/{arn_of('b-2')}?at=".replace(":", "%3A").replace("%3Fat", "?at") in failed


def test_the_list_shows_executions_of_which_the_log_lacks_the_start_or_the_end(
    aws: Aws, signed_in: SignedIn
) -> None:
    aws.add(History("running", now_minus(10)).start())
    aws.add(History("without-end", now_minus(600)).start())
    aws.add(History("without-start", now_minus(20)).add("ExecutionFailed", error="TicketFailed"))

    page = signed_in("agent").get("/console/executions").text

    for name, status in {
        "running": "running",
        "without-end": "not ended in the log",
        "without-start": "failed",
    }.items():
        row = page.split(f'data-execution="{name}"')[1].split("</tr>")[0]
        assert f'data-status="{status}"' in row
        assert '<td class="number">-</td>' in row


def test_more_executions_than_a_page_are_listed_page_by_page(aws: Aws, signed_in: SignedIn) -> None:
    for number in range(150):
        aws.add(History(f"e-{number:03}", now_minus(200 - number)).start().succeed())
    client = signed_in("agent")

    first = client.get("/console/executions").text
    link = first.split('<a href="')[-1].split('">Older')[0].replace("&amp;", "&")
    second = client.get(link).text

    assert first.count("<tr data-execution") == 100
    assert second.count("<tr data-execution") == 50
    assert "hx-trigger" not in second


def test_an_execution_shows_its_states_and_only_text(aws: Aws, signed_in: SignedIn) -> None:
    aws.lines = [json.dumps({"no": "event"}), *denied().lines]

    page = signed_in("agent").get(f"/console/executions/{arn_of()}?at=1769860800").text

    assert 'id="execution" data-status="failed"' in page
    assert 'data-details="Classify Ticket" data-result="caught"' in page
    assert "ModelRejected" in page
    assert "&lt;i&gt;denied&lt;/i&gt;" in page
    assert "<i>denied" not in page
    assert "<b>I was charged" not in page
    assert f'href="/console/tickets/{TICKET}"' in page
    graph = json.loads(page.split("data-graph='")[1].split("'")[0])
    assert graph["states"]["Ticket Failed"] == "Fail"
    assert ["Classify Ticket", "caught", "caught"] in graph["visited"]
    assert aws.patterns[-1] == f'{{ $.execution_arn = "*:{TICKET}*" }}'


def test_an_execution_that_is_not_in_the_log_yet_is_waited_for(aws: Aws, signed_in: SignedIn) -> None:
    client = signed_in("agent")

    waiting = client.get(f"/console/executions/{TICKET}").text
    aws.add(History(start=now_minus(1)).start().enter("Store Ticket"))
    running = client.get(f"/console/executions/{TICKET}").text
    unknown = client.get("/console/executions/unknown?at=1").text

    assert "Waiting for the first lines" in waiting
    assert 'data-status="waiting"' in waiting
    assert 'data-status="running"' in running
    assert 'data-result="running"' in running
    assert all('hx-trigger="every 1s"' in page for page in (waiting, running))
    assert "The log has no such execution" in unknown
    assert 'hx-trigger="every' not in unknown


def test_other_executions_of_the_ticket_are_linked(aws: Aws, signed_in: SignedIn) -> None:
    deferred = History(start=now_minus(60)).start().enter("Ticket Deferred", "Succeed").succeed()
    again = History(f"{TICKET}-r1a2b", now_minus(30)).start().succeed()
    aws.lines = [*deferred.lines, *again.lines]

    page = signed_in("agent").get(f"/console/executions/{TICKET}").text

    assert f"{TICKET}-r1a2b (notified)</a>" in page
    assert 'data-status="deferred"' in page


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "do not permit FilterLogEvents. docs/console.md lists the permissions"),
        ("ExpiredTokenException", "sign in again (aws sso login)"),
        ("ThrottlingException", "AWS limits the calls of FilterLogEvents"),
        ("ResourceNotFoundException", "FilterLogEvents failed: &lt;no&gt;"),
    ],
)
def test_errors_of_aws_are_pages_that_say_what_to_do(
    aws: Aws, signed_in: SignedIn, code: str, message: str
) -> None:
    aws.error = aws_error(code, "FilterLogEvents", "<no>")
    client = signed_in("agent")

    one = client.get(f"/console/executions/{TICKET}")
    listed = client.get("/console/executions")

    assert (one.status_code, listed.status_code) == (502, 200)
    assert message in one.text
    assert message in listed.text


def test_a_stream_tells_when_the_list_has_changed_and_ends_with_the_server(console: Console) -> None:
    index = console.index
    changes = iter([False, False, True])

    def is_stopping() -> bool:
        index.version += 1
        return next(changes)

    async def chunks() -> list[Any]:
        response = app._stream(console, is_stopping)
        assert isinstance(response, StreamingResponse)
        return [chunk async for chunk in response.body_iterator]

    assert asyncio.run(chunks()) == ["event: executions\ndata: changed\n\n"] * 2


def test_the_inbox_is_sorted_by_urgency_then_age_and_passes_the_filters_on(
    api: Api, signed_in: SignedIn
) -> None:
    tickets = [
        ticket(ticketId="low", urgency="LOW"),
        ticket(ticketId="none", urgency=None),
        ticket(ticketId="new", urgency="HIGH", createdAt="2026-01-31T13:00:00Z"),
        ticket(ticketId="old", urgency="HIGH", createdAt="2026-01-31T11:00:00Z"),
    ]
    api.answers["GET /stage/tickets"] = 200, {"tickets": tickets, "cursor": "c+/="}

    page = (
        signed_in("agent")
        .get("/console/tickets?status=PROCESSED&urgency=&needsReview=true&createdAfter=2026-01-31T12:00")
        .text
    )

    assert [row.split('"')[0] for row in page.split('data-ticket="')[1:]] == ["old", "new", "low", "none"]
    assert dict(api.last.url.params) == {
        "limit": "100",
        "status": "PROCESSED",
        "needsReview": "true",
        "createdAfter": "2026-01-31T12:00:00Z",
    }
    assert api.last.headers["authorization"].startswith("Bearer header.")
    assert "cursor=c%2B%2F%3D" in page
    assert HTML not in page


def test_a_ticket_is_shown_as_text_with_the_models_values_beside_the_corrected_ones(
    api: Api, signed_in: SignedIn
) -> None:
    history = [{"execution": "e-1", "outcome": "PROCESSED", "endedAt": MOMENT}]
    api.answers[f"GET /stage/tickets/{TICKET}"] = 200, ticket(history=history)

    page = signed_in("agent").get(f"/console/tickets/{TICKET}").text

    assert HTML not in page
    assert page.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") >= 6
    assert "<b>LOW</b>" in page
    assert "model: HIGH" in page
    assert '<a href="/console/executions/e-1?at=1769860800">' in page
    assert "Replay" not in page


CHANGE = {"status": "IN_PROGRESS", "assignee": "agent@example.com"}


@pytest.mark.parametrize(
    ("form", "request_line", "body"),
    [
        ({"action": "change", **CHANGE}, "PATCH ", {"version": 3, **CHANGE}),
        ({"action": "change", "urgency": "HIGH"}, "PATCH ", {"version": 3, "urgency": "HIGH"}),
        ({"action": "approve"}, "POST /reply", {"version": 3}),
        ({"action": "reply", "text": "Hello"}, "POST /reply", {"version": 3, "text": "Hello"}),
        ({"action": "feedback", "rating": "4"}, "POST /feedback", {"rating": 4}),
        (
            {"action": "feedback", "rating": "4", "comment": "ok"},
            "POST /feedback",
            {"rating": 4, "comment": "ok"},
        ),
        ({"action": "replay"}, "POST /replay", None),
    ],
)
def test_each_form_of_a_ticket_is_one_request_to_the_api(
    api: Api, signed_in: SignedIn, form: dict[str, str], request_line: str, body: Any
) -> None:
    response = signed_in("admin").post(f"/console/tickets/{TICKET}", data={"version": "3", **form})

    assert (response.status_code, response.headers["location"]) == (303, f"/console/tickets/{TICKET}")
    method, path = request_line.split(" ")
    assert (api.last.method, api.last.url.path) == (method, f"/stage/tickets/{TICKET}{path}")
    assert json.loads(api.last.content or b"null") == body


def test_a_conflict_is_explained_on_the_ticket_as_it_is_now(api: Api, signed_in: SignedIn) -> None:
    problem = {"title": "The ticket has changed", "detail": "Read it again."}
    api.answers[f"PATCH /stage/tickets/{TICKET}"] = 409, problem
    api.answers[f"GET /stage/tickets/{TICKET}"] = 200, ticket(version=4)

    response = signed_in("agent").post(
        f"/console/tickets/{TICKET}", data={"action": "change", "version": "3", "urgency": "HIGH"}
    )

    assert response.status_code == 409
    assert "The ticket has changed. Read it again. The page shows the ticket as it is now" in response.text
    assert 'name="version" value="4"' in response.text


def test_admins_can_replay_a_failed_ticket_and_watch_it(api: Api, signed_in: SignedIn) -> None:
    path = f"GET /stage/tickets/{TICKET}"
    api.answers[path] = 200, failed_ticket()

    for_admin = signed_in("admin").get(f"/console/tickets/{TICKET}").text
    for_agent = signed_in("agent").get(f"/console/tickets/{TICKET}").text
    api.answers[path] = 200, failed_ticket(waitingSince=MOMENT, waitingFor="Replay")
    waiting = signed_in("admin").get(f"/console/tickets/{TICKET}").text

    assert ">Replay</button>" in for_admin
    assert ">Replay</button>" not in for_agent
    assert "ModelRejected" in for_agent
    assert "Waits since 2026-01-31 12:00:00 for Replay" in waiting
    assert 'hx-trigger="every 1s"' in waiting
    assert "hx-trigger" not in for_admin


def test_a_new_ticket_leads_staff_to_its_execution_and_customers_to_the_ticket(
    api: Api, signed_in: SignedIn
) -> None:
    api.answers["POST /stage/support-request"] = 202, {"ticketId": TICKET}
    api.answers[f"GET /stage/tickets/{TICKET}"] = 404, {"title": "Not found"}
    form = {"subject": "", "content": "one\r\ntwo"}

    staff = signed_in("agent").post("/console/new-ticket", data=form).headers["location"]
    customer = signed_in("customer")
    location = customer.post("/console/new-ticket", data=form).headers["location"]
    request = next(one for one in api.requests if one.method == "POST")

    assert staff.startswith(f"/console/executions/{TICKET}?at=")
    assert location == f"/console/tickets/{TICKET}?new=1"
    assert json.loads(request.content) == {"content": "one\ntwo"}
    assert "Being processed" in customer.get(location).text
    assert customer.get(f"/console/tickets/{TICKET}").status_code == 404


def test_a_refused_ticket_stays_in_the_form(api: Api, signed_in: SignedIn) -> None:
    api.answers["POST /stage/support-request"] = 400, {"title": "Invalid", "detail": "content is too long"}

    response = signed_in("agent").post("/console/new-ticket", data={"content": HTML})

    assert response.status_code == 400
    assert "Invalid. content is too long" in response.text
    assert "&lt;script&gt;" in response.text


def test_without_the_api_the_page_says_so(api: Api, signed_in: SignedIn) -> None:
    client = signed_in("agent")
    api.is_down = True

    response = client.get("/console/tickets")

    assert response.status_code == 502
    assert "The API does not answer." in response.text


def test_the_overview_shows_counts_metrics_and_charts(aws: Aws, api: Api, signed_in: SignedIn) -> None:
    api.answers["GET /stage/tickets"] = 200, {"tickets": [ticket(), ticket()], "cursor": "more"}
    aws.metrics = {
        "TicketsReceived Sum": [7],
        "TimeToProcessed p50": [1500],
        "TimeToProcessed p95": [2500],
        "OldestTicketWaiting Maximum": [90],
        "InputTokens Sum": [1000],
        "OutputTokens Sum": [234],
        "ModelCost Sum": [0.5],
    }
    client = signed_in("agent")

    page = client.get("/console/overview").text
    requests = len(api.requests)
    client.get("/console/overview")

    numbers = {
        one.split('"')[0]: one.split("<b>")[1].split("</small>")[0].replace("</b><small>", " ").strip()
        for one in page.split('data-number="')[1:]
    }
    assert numbers == {
        "Received": "2+",
        "Processed": "2+",
        "In progress": "2+",
        "Failed": "2+",
        "Waiting": "4 oldest 90 s",
        "Triage, p50": "1.5 s p95 2.5 s",
        "Tokens today": "1,234 1,000 in, 234 out",
        "Cost today": "$0.5000",
    }
    flow = json.loads(page.split("data-lines='")[1].split("'")[0])
    assert len(flow["labels"]) == 60
    assert flow["lines"]["accepted"][-1] == 7
    assert flow["lines"]["failed"] == [0] * 60
    assert len(api.requests) == requests, "read at most every 15 seconds"


def test_without_metrics_the_overview_is_empty(signed_in: SignedIn) -> None:
    page = signed_in("agent").get("/console/overview").text

    assert 'data-number="Triage, p50"><span class="muted">Triage, p50</span><b>-</b>' in page


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The faults that the model got."""
    faults: list[Any] = []

    def post(url: str, *, json: Any, trust_env: bool) -> httpx.Response:
        assert (url, trust_env) == ("http://model/faults", False)
        faults.append(json)
        return httpx.Response(200, request=httpx.Request("POST", url))

    monkeypatch.setattr("console.local_tools.httpx.post", post)
    return faults


def test_a_fault_is_visible_on_every_page_until_it_is_ended(local_console: Console, model: list[Any]) -> None:
    client = browser(local_console)
    client.post("/console/sign-in", data={"demo": "admin@example.com"})

    client.post("/console/fault", data={"fault": "deny"})
    with_fault = client.get("/console/tickets").text
    client.post("/console/fault")
    without = client.get("/console/tickets").text
    client.post("/console/fault", data={"fault": "unknown"})

    assert 'data-fault="deny"' in with_fault
    assert "denies every call" in with_fault
    assert "data-fault" not in without
    assert model == [{"deny": 1}, {}, {}]


def test_mails_are_shown_as_text_and_stay_in_the_mailbox(local_console: Console, aws: Aws) -> None:
    aws.mails = [{"Subject": "A ticket", "Message": f"{HTML}\nline"}]
    client = browser(local_console)
    client.post("/console/sign-in", data={"demo": "agent@example.com"})

    page = client.get("/console/mails").text

    assert "A ticket" in page
    assert "&lt;script&gt;" in page
    assert HTML not in page
    assert aws.patterns[-1] == "1 mails were released"


def test_a_deployed_stack_has_no_local_tools(signed_in: SignedIn) -> None:
    client = signed_in("admin")

    assert client.get("/console/mails").status_code == 404
    assert client.post("/console/fault").status_code == 404
    page = client.get("/console/new-ticket").text
    assert "Rehearse" not in page
    assert "stack dev &lt;in&gt; eu-west-1" in page


def test_errors_of_the_app_show_no_details(signed_in: SignedIn) -> None:
    response = signed_in("agent").get("/console/unknown")

    assert (response.status_code, response.text) == (404, "Not Found")
