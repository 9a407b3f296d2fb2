"""Checks that the API is deployed as docs/security.md describes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ops.verify.check_result import DEPLOY_ADVICE, CheckResult, failed, ok, ok_unless
from ops.verify.context import CheckContext

# The columns "nobody" of docs/security.md: which authorization a method requires, whether it requires an API
# key, and the status without credentials.
CUSTOMER = ("COGNITO_USER_POOLS", False)
SERVICE = ("AWS_IAM", True)
OPEN = ("NONE", False)
METHODS = {
    "POST /support-request": CUSTOMER,
    "POST /service/support-request": SERVICE,
    "GET /tickets": CUSTOMER,
    "GET /tickets/{ticketId}": CUSTOMER,
    "PATCH /tickets/{ticketId}": CUSTOMER,
    "POST /tickets/{ticketId}/reply": CUSTOMER,
    "POST /tickets/{ticketId}/replay": CUSTOMER,
    "POST /tickets/{ticketId}/feedback": CUSTOMER,
    "ANY /": OPEN,
    "ANY /{proxy+}": OPEN,
}
REFUSALS = {CUSTOMER: 401, SERVICE: 403, OPEN: 404}
API_ADVICE = f"{DEPLOY_ADVICE} If this remains, compare with docs/security.md."


def one_stage(context: CheckContext) -> CheckResult:
    """The API has one stage: without OpenApiVersion, SAM creates a second public one."""
    stages = context.stack.client("apigateway").get_stages(restApiId=context.stack.output("ApiId"))["item"]
    names = sorted(stage["stageName"] for stage in stages)
    if names == [context.physical_id("ApiStage")]:
        return ok(f"The API has one stage, {names[0]}.")
    return failed(
        f"The API has the stages {', '.join(names)}: each is public, but only the stack's has limits.",
        "Delete every stage except the stack's (API Gateway → Stages).",
    )


def methods(context: CheckContext) -> CheckResult:
    """Every method requires the right authorization. Stages serve a copy, which `no credentials` checks."""
    found = {name: _authorization(method) for name, method, _ in deployed_methods(context)}
    problems = [f"{name} is missing" for name in METHODS.keys() - found.keys()]
    for name, authorization in found.items():
        expected = OPEN if name.startswith("OPTIONS ") else METHODS.get(name)
        if expected is None:
            problems.append(f"{name} is not in docs/security.md")
        elif authorization != expected:
            problems.append(f"{name} requires {_describe(authorization)} instead of {_describe(expected)}")
    return ok_unless(
        sorted(problems), f"All {len(found)} methods require what docs/security.md says.", API_ADVICE
    )


def authorizer(context: CheckContext) -> CheckResult:
    """The API accepts tokens of the stack's user pool only."""
    client, api = context.stack.client("apigateway"), context.stack.output("ApiId")
    authorizers = client.get_authorizers(restApiId=api)["items"]
    pools = {arn.rpartition("/")[2] for one in authorizers for arn in one.get("providerARNs", [])}
    if pools == {context.stack.output("UserPoolId")}:
        return ok("The API accepts tokens of the stack's user pool only.")
    return failed(f"The API accepts tokens of {', '.join(sorted(pools)) or 'no user pool'}.", API_ADVICE)


def deployed_methods(context: CheckContext) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """The name of each method, such as `GET /tickets`, its settings and its integration."""
    pages = context.stack.client("apigateway").get_paginator("get_resources")
    for page in pages.paginate(restApiId=context.stack.output("ApiId"), embed=["methods"]):
        for resource in page["items"]:
            for verb, method in resource.get("resourceMethods", {}).items():
                yield f"{verb} {resource['path']}", method, method.get("methodIntegration", {})


def _authorization(method: Mapping[str, Any]) -> tuple[str, bool]:
    return method["authorizationType"], method.get("apiKeyRequired", False)


def _describe(authorization: tuple[str, bool]) -> str:
    kind, requires_key = authorization
    return f"{kind} and an API key" if requires_key else kind


def limits(context: CheckContext) -> CheckResult:
    """The stage and its service clients have the rates of the stack's parameters."""
    problems = _throttling_problems(context) + _usage_plan_problems(context)
    return ok_unless(
        problems, "The stage and its service clients have the rates of the parameters.", API_ADVICE
    )


def _throttling_problems(context: CheckContext) -> list[str]:
    parameters, settings = context.stack.parameters, _stage(context).get("methodSettings", {})
    by_path = {key.replace("~1", "/").lstrip("/"): value for key, value in settings.items()}
    problems = []
    for path, name in (
        ("*/*", "Request"),
        ("support-request/POST", "Submit"),
        ("service/support-request/POST", "Submit"),
    ):
        actual = by_path.get(path, {})
        for kind, key in (("RateLimit", "throttlingRateLimit"), ("BurstLimit", "throttlingBurstLimit")):
            expected = float(parameters.get(f"{name}{kind}", "nan"))
            if actual.get(key) != expected:
                problems.append(f"{path} has {key} {actual.get(key)} instead of {name}{kind} {expected:g}")
    return problems


def _usage_plan_problems(context: CheckContext) -> list[str]:
    stack = context.stack
    plan = stack.client("apigateway").get_usage_plan(usagePlanId=stack.output("UsagePlanId"))
    stages = {(one["apiId"], one["stage"]) for one in plan.get("apiStages", [])}
    problems = []
    if (stack.output("ApiId"), context.physical_id("ApiStage")) not in stages:
        problems.append("the usage plan of service clients does not include the stage")
    if not plan.get("throttle", {}).get("rateLimit") or not plan.get("quota", {}).get("limit"):
        problems.append("the usage plan of service clients has no rate or no quota")
    return problems


def firewall(context: CheckContext) -> CheckResult:
    """The stage has a web ACL, if WafMode asks for it."""
    if context.stack.parameters.get("WafMode", "off") == "off":
        return ok("The firewall is off (WafMode=off).")
    if _stage(context).get("webAclArn"):
        return ok("The stage is behind the firewall.")
    return failed("WafMode is on, but the stage has no web ACL.", API_ADVICE)


def access_log(context: CheckContext) -> CheckResult:
    """The stage's access log contains a request that the API refused."""
    destination = _stage(context).get("accessLogSettings", {}).get("destinationArn", "")
    if not destination:
        return failed("The stage has no access log.", API_ADVICE)
    log_group = destination.partition(":log-group:")[2].removesuffix(":*")
    logs = context.stack.client("logs")

    def has_refused_request() -> bool:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=log_group,
            startTime=round(context.started_at.timestamp() * 1000),
            filterPattern=f'"support-pipeline-verify/{context.run_id}" "UNAUTHORIZED"',
        )
        return any(page["events"] for page in pages)

    if context.deadline.wait_for(has_refused_request):
        return ok(f"A refused request is in {log_group}.")
    return failed(
        f"No request without a token is in {log_group}.",
        "Run the check again with DEADLINE=600; if this remains, see docs/configuration.md, The access log.",
    )


def _stage(context: CheckContext) -> Mapping[str, Any]:
    stage: Mapping[str, Any] = context.stack.client("apigateway").get_stage(
        restApiId=context.stack.output("ApiId"), stageName=context.physical_id("ApiStage")
    )
    return stage
