"""Is the API deployed as docs/security.md says?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ops.verify.finding import Finding, failed, judged, ok
from ops.verify.site import Site

# By the columns "nobody" of docs/security.md: what a method asks for, and how it refuses who has nothing.
CUSTOMER = ("COGNITO_USER_POOLS", False)
SERVICE = ("AWS_IAM", True)
OPEN = ("NONE", False)
METHODS = {
    "POST /support-request": CUSTOMER,
    "POST /service/support-request": SERVICE,
    "GET /tickets": CUSTOMER,
    "GET /tickets/{ticketId}": CUSTOMER,
    "PATCH /tickets/{ticketId}": CUSTOMER,
    "POST /tickets/{ticketId}/replay": CUSTOMER,
    "POST /tickets/{ticketId}/feedback": CUSTOMER,
    "ANY /": OPEN,
    "ANY /{proxy+}": OPEN,
}
REFUSALS = {CUSTOMER: 401, SERVICE: 403, OPEN: 404}
DEPLOY = "Deploy again (make deploy); if it stays, compare with docs/security.md."


def one_stage(site: Site) -> Finding:
    """SAM makes a second public stage where OpenApiVersion is missing."""
    stages = site.stack.client("apigateway").get_stages(restApiId=site.stack.output("ApiId"))["item"]
    names = sorted(stage["stageName"] for stage in stages)
    if names == [site.id_of("ApiStage")]:
        return ok(f"The API has one stage, {names[0]}.")
    return failed(
        f"The API has the stages {', '.join(names)}: each is public, without the limits and alarms of ours.",
        "Delete every stage but that of the stack (API Gateway → Stages).",
    )


def methods(site: Site) -> Finding:
    """Who may call each method. A stage serves a copy, which the next check asks itself."""
    found = {name: _protection(method) for name, method, _ in deployed_methods(site)}
    problems = [f"{name} is missing" for name in METHODS.keys() - found.keys()]
    for name, protection in found.items():
        expected = OPEN if name.startswith("OPTIONS ") else METHODS.get(name)
        if expected is None:
            problems.append(f"{name} is not in docs/security.md")
        elif protection != expected:
            problems.append(f"{name} asks for {_asked(protection)} in place of {_asked(expected)}")
    return judged(sorted(problems), f"All {len(found)} methods ask for what docs/security.md says.", DEPLOY)


def authorizer(site: Site) -> Finding:
    """The user pool whose tokens the API takes."""
    items = site.stack.client("apigateway").get_authorizers(restApiId=site.stack.output("ApiId"))["items"]
    pools = {arn.rpartition("/")[2] for one in items for arn in one.get("providerARNs", [])}
    expected = {site.stack.output("UserPoolId")}
    if pools == expected:
        return ok("The API takes tokens of the stack's user pool alone.")
    return failed(f"The API takes tokens of {', '.join(sorted(pools)) or 'no user pool'}.", DEPLOY)


def deployed_methods(site: Site) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Each method of the API as `GET /tickets`, with its settings and its integration."""
    pages = site.stack.client("apigateway").get_paginator("get_resources")
    for page in pages.paginate(restApiId=site.stack.output("ApiId"), embed=["methods"]):
        for resource in page["items"]:
            for verb, method in resource.get("resourceMethods", {}).items():
                yield f"{verb} {resource['path']}", method, method.get("methodIntegration", {})


def _protection(method: Mapping[str, Any]) -> tuple[str, bool]:
    return method["authorizationType"], method.get("apiKeyRequired", False)


def _asked(protection: tuple[str, bool]) -> str:
    kind, needs_key = protection
    return f"{kind} and an API key" if needs_key else kind


def limits(site: Site) -> Finding:
    """The stage's throttles, and those of service clients."""
    parameters, settings = site.stack.parameters, _stage(site).get("methodSettings", {})
    by_path = {key.replace("~1", "/").lstrip("/"): value for key, value in settings.items()}
    problems = []
    for path, name in (
        ("*/*", "Request"),
        ("support-request/POST", "Submit"),
        ("service/support-request/POST", "Submit"),
    ):
        given = by_path.get(path, {})
        for kind, key in (("RateLimit", "throttlingRateLimit"), ("BurstLimit", "throttlingBurstLimit")):
            expected = float(parameters.get(f"{name}{kind}", "nan"))
            if given.get(key) != expected:
                problems.append(f"{path} has {key} {given.get(key)} in place of {name}{kind} {expected:g}")
    plan = site.stack.client("apigateway").get_usage_plan(usagePlanId=site.stack.output("UsagePlanId"))
    stages = {(one["apiId"], one["stage"]) for one in plan.get("apiStages", [])}
    if (site.stack.output("ApiId"), site.id_of("ApiStage")) not in stages:
        problems.append("the usage plan of service clients does not cover the stage")
    if not plan.get("throttle", {}).get("rateLimit") or not plan.get("quota", {}).get("limit"):
        problems.append("the usage plan of service clients has no rate or no quota")
    return judged(problems, "The stage and its service clients have the rates of the parameters.", DEPLOY)


def firewall(site: Site) -> Finding:
    """The web application firewall, when one is asked for."""
    if site.stack.parameters.get("WafMode", "off") == "off":
        return ok("None is asked for (WafMode=off).")
    if _stage(site).get("webAclArn"):
        return ok("The stage is behind the firewall.")
    return failed("WafMode is on, but the stage has no web ACL.", DEPLOY)


def access_log(site: Site) -> Finding:
    """The stage's access log, and in it a request that the API refused."""
    destination = _stage(site).get("accessLogSettings", {}).get("destinationArn", "")
    if not destination:
        return failed("The stage has no access log.", DEPLOY)
    group = destination.partition(":log-group:")[2].removesuffix(":*")
    logs = site.stack.client("logs")

    def refused() -> bool:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group,
            startTime=round(site.began.timestamp() * 1000),
            filterPattern=f'"support-pipeline-verify/{site.run_id}" "UNAUTHORIZED"',
        )
        return any(page["events"] for page in pages)

    if site.patience.wait_for(refused):
        return ok(f"A refused request left its line in {group}.")
    return failed(
        f"No request without a token is in {group}.",
        "Run it again with DEADLINE=600; if it stays, see docs/configuration.md, The access log.",
    )


def _stage(site: Site) -> Mapping[str, Any]:
    stage: Mapping[str, Any] = site.stack.client("apigateway").get_stage(
        restApiId=site.stack.output("ApiId"), stageName=site.id_of("ApiStage")
    )
    return stage
