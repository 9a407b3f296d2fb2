"""Every response of the API, to valid and invalid requests of every role, matches api/openapi.yaml.

Schemathesis generates the requests from the document. FUZZ_EXAMPLES is their number, and FUZZ_SEED the seed
of all random choices. Without a seed, every run is the same and must reach every expected response; with a
seed, a run reports the expected responses that it did not reach.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode, checks, openapi
from schemathesis.config import SchemathesisConfig

from tests.helpers.running_stack import RunningStack

PROJECT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "460"))
SEED = int(os.environ.get("FUZZ_SEED", "4"))
MUST_REACH_ALL = "FUZZ_SEED" not in os.environ
CATEGORIES = list(json.loads((PROJECT / "functions/support/domain/taxonomy.json").read_text())["categories"])
SCHEMA: Any = openapi.from_path(
    PROJECT / "api" / "openapi.yaml",
    config=SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}}),
)
LABELS = [operation.ok().label for operation in SCHEMA.get_all_operations()]
TOKENS = {"customer": "token", "agent": "agent-token", "admin": "admin-token"}
SUBMIT = "POST /support-request"
SUBMIT_AS_SERVICE = "POST /service/support-request"
SUBMITTING = (SUBMIT, SUBMIT_AS_SERVICE)
LIST = "GET /tickets"
READ = "GET /tickets/{ticketId}"
CHANGE = "PATCH /tickets/{ticketId}"
REPLY = "POST /tickets/{ticketId}/reply"
REPLAY = "POST /tickets/{ticketId}/replay"
RATE = "POST /tickets/{ticketId}/feedback"

# Caller, operation, and statuses that must occur, which shows that the requests reach the code itself.
CALLS = [
    ("customer", SUBMIT, {202, 400}),
    ("customer", LIST, {200, 400}),
    ("customer", READ, {200, 404}),
    ("customer", CHANGE, {403}),
    ("customer", REPLY, {403}),
    ("customer", REPLAY, {403}),
    ("customer", RATE, {200, 201, 400, 404}),
    ("agent", SUBMIT, {202, 400}),
    ("agent", LIST, {200, 400}),
    ("agent", READ, {200, 404}),
    ("agent", CHANGE, {200, 400, 404, 409}),
    ("agent", REPLY, {200, 400, 404, 409}),
    ("agent", REPLAY, {403}),
    ("agent", RATE, {403, 400}),
    ("admin", SUBMIT, {202, 400}),
    ("admin", LIST, {200, 400}),
    ("admin", READ, {200, 404}),
    ("admin", CHANGE, {200, 400, 404, 409}),
    ("admin", REPLY, {200, 400, 404, 409}),
    ("admin", REPLAY, {202, 404, 409}),
    ("admin", RATE, {403, 400}),
    ("service", SUBMIT_AS_SERVICE, {202, 400}),
    *[
        ("nobody", operation, {403 if operation == SUBMIT_AS_SERVICE else 401})
        for operation in (SUBMIT, SUBMIT_AS_SERVICE, LIST, READ, CHANGE, REPLY, REPLAY, RATE)
    ],
    *[("nobody", label, {204}) for label in LABELS if label.startswith("OPTIONS")],
]
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
]


@dataclass(frozen=True, slots=True)
class World:
    """The running API: how each caller authenticates, the tickets, and the statuses so far."""

    url: str
    callers: dict[str, Callable[[Any], Any]]
    tickets: list[str]
    version: Callable[[str], int]
    answers: Counter[int] = field(default_factory=Counter)
    not_reached: list[str] = field(default_factory=list)

    def up_to_date(self, case: Case[Any], category: str) -> Case[Any]:
        """A change or approval of the ticket's current version, with a valid category and a visible text."""
        body: Any = case.body
        ticket_id = case.path_parameters["ticketId"]
        body["version"] = self.version(ticket_id) if ticket_id in self.tickets else 1
        if "category" in body:
            body["category"] = category
        if "text" in body:
            body["text"] = f"{body['text'][1:]}."
        return case


@pytest.fixture(scope="module")
def world(running: RunningStack) -> Iterator[World]:
    """The API with failed and processed tickets of several customers."""
    tokens = {role: running.token(file) for role, file in TOKENS.items()}
    running.fail_model(deny=1.0)
    failed = submitted(running, [tokens["customer"]] * 2)
    running.fail_model()
    processed = submitted(running, [tokens["customer"], *tokens.values(), running.new_customer()])
    callers = {role: bearer(token) for role, token in tokens.items()}
    # With the usual limits of a service client, most requests would be refused.
    with running.client_limits(rateLimit=10000, burstLimit=5000, quota=1_000_000):
        world = World(
            running.stack.web_url,
            callers | {"service": service(running), "nobody": lambda request: request},
            failed + processed,
            lambda ticket_id: int(running.get(ticket_id, token=tokens["agent"]).json()["version"]),
        )
        yield world
    print(f"\n{world.answers.total()} requests, answered with {dict(sorted(world.answers.items()))}")
    if world.not_reached:
        print(f"Answers that no request reached (more EXAMPLES may): {'; '.join(world.not_reached)}")


def submitted(running: RunningStack, tokens: list[str]) -> list[str]:
    """Submit a ticket with each token; return the ids when all are processed or failed."""
    answers = [running.post({"content": "I was charged twice."}, token=token) for token in tokens]
    ids = [str(answer.json()["ticketId"]) for answer in answers]
    for ticket_id in ids:
        running.outcome(ticket_id, token=running.token("agent-token"))
    return ids


def bearer(token: str) -> Callable[[Any], Any]:
    def authenticate(request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return authenticate


def service(running: RunningStack) -> Callable[[Any], Any]:
    def authenticate(request: Any) -> Any:
        request.headers.update(running.service_headers(request.method, request.url, request.body or b""))
        return request

    return authenticate


@pytest.mark.parametrize(("caller", "label", "expected"), CALLS)
def test_every_response_is_as_documented(world: World, caller: str, label: str, expected: set[int]) -> None:
    operation = SCHEMA.find_operation_by_label(label)
    assert operation is not None
    seen: Counter[int] = Counter()

    def send(case: Case[Any]) -> None:
        answer = case.call(world.url, auth=world.callers[caller])
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    # At least two valid and two invalid requests.
    number = max(4, math.ceil(EXAMPLES * share(caller) / sum(share(caller) for caller, _, _ in CALLS)))
    invalid = number // 2 if operation.body or operation.query else 0
    if label in SUBMITTING and caller != "nobody":
        # Accepted tickets are also processed, which takes longer than everything else.
        invalid = number - max(number // 10, 2)
    examples(valid(operation, world), number - invalid, send)
    if invalid:
        examples(operation.as_strategy(GenerationMode.NEGATIVE), invalid, send)

    world.answers.update(seen)
    if missing := expected - seen.keys():
        assert not MUST_REACH_ALL, seen
        world.not_reached.append(f"{label} as {caller} {sorted(missing)}")
    assert seen[429] <= 2, seen


def test_the_web_server_publishes_the_document_with_its_own_url(stack: RunningStack) -> None:
    document = stack.http.get("/openapi.json").json()

    assert document["servers"][0]["url"] == stack.url
    assert document["paths"].keys() == {label.partition(" ")[2] for label in LABELS}
    assert stack.http.get("/docs").status_code == 200


def share(caller: str) -> int:
    """A caller's weight. It is low for callers without credentials: every request is refused."""
    return 1 if caller == "nobody" else 4


def examples(strategy: SearchStrategy[Case[Any]], number: int, send: Callable[[Case[Any]], None]) -> None:
    """Send this number of examples, always the same for the same SEED."""
    limits = settings(
        max_examples=number,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    limits(seed(SEED)(given(strategy)(send)))()


def valid(operation: Any, world: World) -> SearchStrategy[Case[Any]]:
    """Valid requests, most of them about existing tickets."""
    any_request: SearchStrategy[Case[Any]] = operation.as_strategy()
    if operation.label == LIST:
        return any_request.map(without_cursor)
    if "{ticketId}" not in operation.path:
        return any_request
    existing = st.sampled_from(world.tickets).flatmap(
        lambda ticket_id: operation.as_strategy(path_parameters={"ticketId": ticket_id})
    )
    requests = st.one_of(existing, existing, existing, any_request)
    return (
        st.builds(world.up_to_date, requests, st.sampled_from(CATEGORIES))
        if operation.label in {CHANGE, REPLY}
        else requests
    )


def without_cursor(case: Case[Any]) -> Case[Any]:
    """Remove the cursor: an invented cursor is never valid."""
    case.query.pop("cursor", None)
    return case
