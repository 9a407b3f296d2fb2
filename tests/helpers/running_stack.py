"""A local stack, started and used as its users do."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from coverage import Coverage

from local.processes import free_port, wait_for
from local.stack import Stack
from ops.queue import Queue
from support.domain.ticket import timestamp
from tests.helpers.queues import receive_all

PROJECT = Path(__file__).parents[2]
START_SECONDS = 180


class RunningStack:
    """A started `python -m local run`, and what its users do with it."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        ports = {"PORT": str(self.port), "EMULATOR_PORT": str(free_port()), "STACK_DIR": str(folder)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.environment = kept | ports | dict(environment or {})
        self.output = folder.parent / f"{folder.name}.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local", "run"],
                cwd=PROJECT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.url = f"http://127.0.0.1:{self.port}"
        # The web server closes idle connections after 5 seconds; a request on one of them would fail.
        limits = httpx.Limits(keepalive_expiry=2)
        self.http = httpx.Client(base_url=self.url, timeout=35, trust_env=False, limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.stop()

    def wait_until_healthy(self) -> Self:
        """Wait until /healthz answers."""
        assert wait_for(lambda: self.process.poll() is not None or self._healthy(), START_SECONDS)
        assert self.process.poll() is None, self.output.read_text()
        return self

    def _healthy(self) -> bool:
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """End it as Ctrl-C does; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def command(self, module: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run `python -m module arguments…` as this stack's users do, to its end."""
        # Coverage does not measure child processes automatically. Only `verify` has no other tests.
        is_measured = (module, *arguments) == ("ops", "verify") and Coverage.current() is not None
        measured = ["-m", "coverage", "run", "--parallel-mode"] if is_measured else []
        return subprocess.run(
            [sys.executable, *measured, "-m", module, *arguments],
            cwd=PROJECT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def stack(self) -> Stack:
        """The contents of stack.json."""
        return Stack.load(self.folder)

    def token(self, file: str = "token") -> str:
        """A demo user's token."""
        return (self.folder / file).read_text()

    def post(self, body: Any, *, token: str | None = None, **headers: str) -> httpx.Response:
        """Submit a ticket as the demo customer."""
        authorization = {"Authorization": f"Bearer {token or self.token()}"}
        return self.http.post("/support-request", json=body, headers=authorization | headers)

    def get(self, ticket_id: str, *, token: str | None = None) -> httpx.Response:
        """Read a ticket as the demo customer."""
        return self.http.get(
            f"/tickets/{ticket_id}", headers={"Authorization": f"Bearer {token or self.token()}"}
        )

    def send_as_service(
        self, method: str, path: str, body: Any, *, sent: Any = None, api_key: str | None = None
    ) -> httpx.Response:
        """Send a signed request with an API key as the demo service; `sent` replaces the signed body."""
        url, content = self.stack.web_url + path, json.dumps(body).encode()
        headers = self.service_headers(method, url, content) | ({"x-api-key": api_key} if api_key else {})
        content = content if sent is None else json.dumps(sent).encode()
        return self.http.request(
            method, url, content=content, headers=headers | {"Content-Type": "application/json"}
        )

    def service_headers(self, method: str, url: str, content: bytes) -> dict[str, str]:
        """The headers that authenticate the demo service: the request's signature and the API key."""
        client = json.loads((self.folder / "service.json").read_text())
        credentials = Credentials(client["accessKeyId"], client["secretAccessKey"])
        signed = AWSRequest(method, url, data=content)
        SigV4Auth(credentials, "execute-api", client["region"]).add_auth(signed)
        return dict(signed.headers) | {"x-api-key": client["apiKey"]}

    @contextmanager
    def client_limits(self, **limits: int) -> Iterator[None]:
        """Other limits of service clients until the block ends: `rateLimit`, `burstLimit` and `quota`."""
        paths = {
            "rateLimit": "/throttle/rateLimit",
            "burstLimit": "/throttle/burstLimit",
            "quota": "/quota/limit",
        }
        apigateway = self.stack.client("apigateway")
        plan = apigateway.get_usage_plan(usagePlanId=self.stack.usage_plan_id)
        before = {**plan["throttle"], "quota": plan["quota"]["limit"]}

        def limit(values: Mapping[str, Any]) -> None:
            changes = [{"op": "replace", "path": paths[n], "value": str(v)} for n, v in values.items()]
            apigateway.update_usage_plan(usagePlanId=plan["id"], patchOperations=changes)

        limit(limits)
        try:
            yield
        finally:
            limit({name: before[name] for name in limits})

    def deploy(self, **parameters: str) -> None:
        """Deploy the same template with these parameters changed."""
        cloudformation, name = self.stack.client("cloudformation"), self.stack.stack_name
        (before,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        kept = [p["ParameterKey"] for p in before["Parameters"] if p["ParameterKey"] not in parameters]
        cloudformation.update_stack(
            StackName=name,
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": key, "UsePreviousValue": True} for key in kept]
            + [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )

        def status() -> str:
            return str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

        assert wait_for(lambda: "IN_PROGRESS" not in status(), 120)
        assert status() == "UPDATE_COMPLETE"

    def submit(self, body: Any, **headers: str) -> str:
        """Submit a ticket that is accepted; return its id."""
        answer = self.post(body, **headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["ticketId"])

    def outcome(self, ticket_id: str, *, token: str | None = None) -> dict[str, Any]:
        """The ticket as the demo customer sees it, when it has its notification or has failed."""
        ticket: dict[str, Any] = {}

        def ended() -> bool:
            answer = self.get(ticket_id, token=token)
            ticket.update(answer.json() if answer.status_code == 200 else {})
            return ticket.get("status") == "FAILED" or "notifiedAt" in ticket

        assert wait_for(ended, 60), ticket
        return ticket

    def executions(self) -> list[dict[str, Any]]:
        """All executions so far."""
        client = self.stack.client("stepfunctions")
        pages = client.get_paginator("list_executions").paginate(stateMachineArn=self.stack.state_machine_arn)
        return [execution for page in pages for execution in page["executions"]]

    def is_idle(self) -> bool:
        """Whether no execution is running, and the waiting room is empty."""
        running = self.stack.client("stepfunctions").list_executions(
            stateMachineArn=self.stack.state_machine_arn, statusFilter="RUNNING", maxResults=1
        )["executions"]
        return not running and not Queue(self.stack.client("sqs"), self.stack.waiting_room_url).size()

    def stored(self) -> int:
        """The number of tickets in the table."""
        return int(
            self.stack.client("dynamodb").scan(TableName=self.stack.tickets_table, Select="COUNT")["Count"]
        )

    def backdate(self, ticket_id: str, ago: timedelta, *attributes: str) -> None:
        """Set times of a ticket that is not finished."""
        self.stack.client("dynamodb").update_item(
            TableName=self.stack.tickets_table,
            Key={"ticketId": {"S": ticket_id}},
            UpdateExpression="SET " + ", ".join(f"{name} = :ago" for name in attributes),
            ConditionExpression="attribute_exists(pendingSince)",
            ExpressionAttributeValues={":ago": {"S": timestamp(datetime.now(UTC) - ago)}},
        )

    @contextmanager
    def denied(self, function: str, action: str) -> Iterator[None]:
        """Deny a function an action through its role; a change of the function would not affect its alias."""
        iam, functions = self.stack.client("iam"), self.stack.client("lambda")
        configuration = functions.get_function_configuration(FunctionName=self.stack.function_name(function))
        policy = {"RoleName": configuration["Role"].rpartition("/")[2], "PolicyName": "denied"}
        denial = {"Effect": "Deny", "Action": action, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [denial]})
        iam.put_role_policy(**policy, PolicyDocument=document)
        try:
            yield
        finally:
            iam.delete_role_policy(**policy)

    def messages(self, queue_url: str, wait_seconds: int = 0) -> list[dict[str, Any]]:
        """Receive and delete all messages of a queue that then stays empty for `wait_seconds`."""
        return receive_all(self.stack.client("sqs"), queue_url, wait_seconds)

    def notifications(self) -> list[dict[str, Any]]:
        """Receive and delete the support team's notifications."""
        return self.messages(self.stack.inbox_queue_url, wait_seconds=1)

    def mails(self) -> list[dict[str, Any]]:
        """Receive and delete the support team's mails: `{"Subject": str, "Message": str, …}`."""
        return [json.loads(message["Body"]) for message in self.messages(self.stack.mailbox_queue_url)]

    def failures(self) -> list[dict[str, Any]]:
        """Receive and delete the messages in the failed-tickets queue; return their bodies."""
        queue = self.stack.failed_tickets_queue_url
        return [json.loads(message["Body"]) for message in self.messages(queue, wait_seconds=1)]

    def fail_model(self, **faults: object) -> None:
        """Set the model's faults."""
        self.http.post(f"{self.stack.model_url}/faults", json=faults).raise_for_status()

    def set_alarm_minute(self, seconds: float) -> None:
        """Set how long a minute of the alarms lasts."""
        url, body = f"{self.stack.endpoint_url}/_ministack/config", json.dumps({"alarms.minute": seconds})
        signed = AWSRequest("POST", url, data=body)
        credentials = Credentials(self.stack.access_key_id, self.stack.secret_access_key)
        SigV4Auth(credentials, "s3", self.stack.region).add_auth(signed)
        self.http.post(url, content=body, headers=dict(signed.headers)).raise_for_status()

    def new_customer(self, client_id: str | None = None, *, kind: str = "IdToken") -> str:
        """Create another customer; return a token of theirs."""
        cognito, pool = self.stack.client("cognito-idp"), self.stack.user_pool_id
        name, password = f"{uuid.uuid4()}@example.com", f"{uuid.uuid4()}aA1"
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)
        answer = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client_id or self.stack.user_pool_client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": password},
        )
        return str(answer["AuthenticationResult"][kind])
