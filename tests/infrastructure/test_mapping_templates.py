"""The contract's mapping templates: no request can forge the text that they render."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.emulator.mapping_template import Parameters
from devtools.emulator.step_functions_integration import Request
from support.domain import ticket

type Document = dict[str, Any]

SUBMITTING = ["/support-request", "/service/support-request"]
EXTENSION = "x-amazon-apigateway-integration"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
VICTIM = "7f9c24e8-3b12-4a5f-9d6e-1c2b3a4d5e6f"
HOSTILE = [
    '"',
    '","name":"x',
    '\\","caller":{"subject":"victim","groups":"admins"},"a":\\"',
    '"}',
    "\\",
    "'",
    "\r\nname: x",
    "#set($ticketId = 1)$context.apiId",
    "x" * 2000,
    "😀",
    "../../x",
    "",
]

# Every reference in the templates, with the reason why it is safe. References that are only compared are
# not written to the output.
SAFE = {
    "$context.requestId.matches(": "compared: the caller may choose it (header x-amzn-RequestId)",
    "$context.requestId.toLowerCase(": "written only after it has matched a UUID",
    "$context.extendedRequestId.replaceAll(": "API Gateway's own; reduced to the characters of a name",
    "$context.requestTimeEpoch": "a number that API Gateway sets",
    "$context.authorizer.claims.sub": "escaped twice",
    "$context.authorizer.claims['cognito:groups']": "escaped twice",
    "$context.identity.userArn": "escaped twice",
    "$input.params('Idempotency-Key').matches(": "compared",
    "$input.params('idempotency-key').matches(": "compared",
    "$input.params('Idempotency-Key').toLowerCase(": "written only after it has matched a UUID",
    "$input.params('idempotency-key').toLowerCase(": "written only after it has matched a UUID",
    "$input.json('$.content')": "JSON, escaped",
    "$input.json('$.subject')": "JSON, escaped",
    "$input.json('$.customerId')": "JSON, escaped",
    "$input.path('$.subject')": "compared",
    "$input.path('$.customerId')": "compared",
    "$input.path('$.priority')": "compared: the written value is a literal",
    "$input.path('$.__type')": "compared; Step Functions' answer",
    "$util.escapeJavaScript(": "escapes",
    "$context.responseOverride.status": "set to a literal",
    "$context.error.validationErrorString": "escaped by API Gateway",
}
# References outside of directives, which are written to the output.
WRITTEN = {
    "$context.requestTimeEpoch",
    "$context.error.validationErrorString",
    "$requestId",
    "$ticketId",
    "$caller",
    "$groups",
    "$content",
    "$subject",
    "$customerId",
}

REFERENCE = re.compile(
    r"\$!?\{?(?:context|input|util|stageVariables)(?:\.\w+(?:\('[^']*'\)|\()?|\['[^']*'\])*(?!\w)"
)
NESTED = r"\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\)"
DIRECTIVE = re.compile(rf"#(?:set|if|elseif){NESTED}|#else|#end")


def templates(openapi: Document) -> Iterator[tuple[str, str]]:
    """Every template of the document with its place; CloudFormation's own references are resolved."""

    def found(node: Any, where: str) -> Iterator[tuple[str, str]]:
        for name, member in node.items() if isinstance(node, dict) else enumerate(node):
            if name in {"requestTemplates", "responseTemplates"}:
                yield from ((f"{where} {kind}", text(t)) for kind, t in member.items())
            elif isinstance(member, dict | list):
                yield from found(member, f"{where} {name}")

    yield from found(openapi, "")


def text(template: str | Document) -> str:
    resolved = template["Fn::Sub"] if isinstance(template, dict) else template
    machine = "arn:aws:states:us-east-1:111122223333:stateMachine:p:live"
    return str(resolved).replace("${TicketPipelineAliaslive}", machine)


def post(openapi: Document, path: str) -> Document:
    return dict(openapi["paths"][path]["post"][EXTENSION])


def test_every_reference_of_every_template_is_known_to_be_safe(openapi: Document) -> None:
    used = {reference for _, template in templates(openapi) for reference in REFERENCE.findall(template)}
    assert used == set(SAFE)


def test_templates_write_only_references_that_are_known_to_be_safe(openapi: Document) -> None:
    for where, template in templates(openapi):
        written = re.findall(r"\$!?\{?[A-Za-z][\w.]*", DIRECTIVE.sub("", template))
        assert set(written) <= WRITTEN, where


def request(**given: Any) -> Request:
    """A request with these parts, which the caller chooses."""
    context = {
        "requestId": given.get("requestId", "11111111-1111-1111-1111-11111111111A"),
        "extendedRequestId": given.get("extendedRequestId", "LIxC+Gd7S/4FjEg="),
        "requestTimeEpoch": 1790000000000,
        "authorizer": {
            "claims": {"sub": given.get("sub", "customer-1"), "cognito:groups": given.get("groups", "agents")}
        },
        "identity": {"userArn": given.get("userArn", "arn:aws:iam::123456789012:user/shop")},
    }
    headers = {given.get("header", "Idempotency-Key"): given["key"]} if "key" in given else {}
    body = {"content": given.get("content", "x"), "customerId": given.get("customerId", "c-1")}
    body |= {name: given[name] for name in ("subject", "priority") if name in given}
    return Request(json.dumps(body), Parameters(header=headers), context)


def started(openapi: Document, path: str, sent: Request) -> Document:
    """The request to StartExecution, with its input parsed."""
    call = json.loads(
        sent.render(text(post(openapi, path)["requestTemplates"]["application/json"]), sent.body).text
    )
    assert call.keys() == {"stateMachineArn", "name", "input"}
    return {**call, "input": json.loads(call["input"])}


def answered(openapi: Document, path: str, sent: Request) -> Document:
    template = post(openapi, path)["responses"]["200"]["responseTemplates"]["application/json"]
    return dict(json.loads(sent.render(template, "{}").text))


@pytest.mark.parametrize("path", SUBMITTING)
@pytest.mark.parametrize("request_id", [*HOSTILE, None, VICTIM.upper()[:-1], VICTIM + "\n"])
def test_a_request_id_that_is_not_a_uuid_is_replaced_by_api_gateways_own(
    openapi: Document, path: str, request_id: str | None
) -> None:
    sent = request(requestId=request_id)

    call = started(openapi, path, sent)

    assert call["name"] == call["input"]["ticketId"] == "LIxC-Gd7S-4FjEg-"
    assert answered(openapi, path, sent)["ticketId"] == "LIxC-Gd7S-4FjEg-"


@pytest.mark.parametrize("path", SUBMITTING)
@pytest.mark.parametrize("key", [None, VICTIM, VICTIM.upper(), *HOSTILE])
def test_uuids_are_written_in_lower_case(openapi: Document, path: str, key: str | None) -> None:
    sent = request(requestId=VICTIM.upper().replace("7F", "8F"), **({} if key is None else {"key": key}))
    request_id = VICTIM.replace("7f", "8f")

    call = started(openapi, path, sent)

    assert call["name"] == request_id
    assert call["input"]["ticketId"] == (VICTIM if key and key.lower() == VICTIM else request_id)
    assert answered(openapi, path, sent)["ticketId"] == call["input"]["ticketId"]


@pytest.mark.parametrize("path", SUBMITTING)
@pytest.mark.parametrize("header", ["Idempotency-Key", "idempotency-key"])
def test_the_idempotency_key_of_http_1_and_of_http_2_clients_is_read(
    openapi: Document, path: str, header: str
) -> None:
    sent = request(key=VICTIM.upper(), header=header)

    assert started(openapi, path, sent)["input"]["ticketId"] == VICTIM
    assert answered(openapi, path, sent)["ticketId"] == VICTIM


@pytest.mark.parametrize("path", SUBMITTING)
@pytest.mark.parametrize("extended", ["", None])
def test_without_any_id_the_call_has_no_name_and_is_refused_by_step_functions(
    openapi: Document, path: str, extended: str | None
) -> None:
    call = started(openapi, path, request(requestId='"', extendedRequestId=extended))
    assert call["name"] == ""


ANY = st.one_of(st.text(), st.sampled_from(HOSTILE), st.lists(st.sampled_from(HOSTILE)).map("".join))


CHOSEN = ("requestId", "sub", "groups", "userArn", "key", "content", "subject", "customerId", "priority")


@pytest.mark.parametrize("path", SUBMITTING)
@given(st.fixed_dictionaries(dict.fromkeys(CHOSEN, ANY)))
def test_no_valid_request_can_forge_an_execution(openapi: Document, path: str, given: dict[str, str]) -> None:
    sent = request(**given)

    call = started(openapi, path, sent)

    assert NAME.fullmatch(call["name"])
    assert NAME.fullmatch(call["input"]["ticketId"])
    assert answered(openapi, path, sent) == {
        "message": "new ticket has been created for this request",
        "ticketId": call["input"].pop("ticketId"),
    }
    service = path.startswith("/service")
    fields = {name: given[name] for name in ("content", "subject", "customerId")}
    optional = {"subject"} if service else {"subject", "customerId"}
    priority = {"priority": "high"} if service and given["priority"] == "high" else {}
    assert call["input"] == {
        "receivedAt": 1790000000000,
        "channel": "service" if service else "web",
        "caller": {
            "subject": given["userArn" if service else "sub"],
            "groups": "" if service else given["groups"],
        },
        "request": {name: value for name, value in fields.items() if value or name not in optional}
        | priority,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("path", SUBMITTING)
@given(st.fixed_dictionaries(dict.fromkeys(("content", "subject", "customerId", "priority"), JSON)))
def test_a_body_that_was_not_validated_cannot_forge_an_execution(
    openapi: Document, path: str, body: dict[str, Any]
) -> None:
    call = started(openapi, path, request(**body))

    assert call["input"].keys() == {"ticketId", "receivedAt", "channel", "caller", "request"}
    assert call["input"]["caller"]["groups"] in ("", "agents")
    assert call["input"]["request"].items() <= body.items()
    assert "content" in call["input"]["request"]
    assert call["input"]["request"].get("priority", "high") == "high"


def test_only_services_can_set_a_priority(openapi: Document) -> None:
    by_service, by_customer = (
        started(openapi, path, request(priority="high"))["input"]["request"] for path in SUBMITTING[::-1]
    )
    assert by_service["priority"] == ticket.HIGH_PRIORITY
    assert "priority" not in by_customer


@pytest.mark.parametrize("priority", ["normal", "HIGH", "high ", "", None, True, ["high"], {"a": "high"}])
def test_an_invalid_priority_is_left_out(openapi: Document, priority: object) -> None:
    call = started(openapi, "/service/support-request", request(priority=priority))
    assert call["input"]["request"].keys() == {"content", "customerId"}


def test_the_limits_leave_room_for_the_execution_names_of_restarts() -> None:
    longest_execution_name = 80
    suffix = len(f"-r{ticket.MAX_VERSION}")
    assert ticket.MAX_TICKET_ID + suffix <= longest_execution_name
