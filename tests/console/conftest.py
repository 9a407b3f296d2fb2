"""A console on fakes of Cognito, the log group, the other AWS clients and the HTTP API."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from botocore.exceptions import ClientError
from starlette.applications import Starlette

from console.app import create_app
from console.local_tools import LocalTools
from console.views import Console
from ops.stack import DeployedStack
from tests.console.log_lines import History

ORIGIN = "http://localhost:3000"
ASL = Path(__file__).parents[2] / "statemachine" / "ticket_pipeline.asl.yaml"
USERS = {"customer@example.com": [], "agent@example.com": ["agents"], "admin@example.com": ["admins"]}
OUTPUTS = ("StateMachineLogGroup", "StateMachineArn", "UserPoolId", "UserPoolClientId")
QUEUES = ("WaitingRoomQueueUrl", "PriorityWaitingRoomQueueUrl")
PASSWORD = "a-good-password"


def aws_error(code: str, operation: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class Cognito:
    """A user pool, in which tokens are valid for `token_seconds`; `challenge` comes before them."""

    def __init__(self) -> None:
        self.token_seconds = 3600.0
        self.challenge = ""
        self.calls: list[dict[str, Any]] = []
        self.error: ClientError | None = None

    def admin_initiate_auth(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        parameters = call["AuthParameters"]
        if self.error:
            raise self.error
        if call["AuthFlow"] == "REFRESH_TOKEN_AUTH":
            return self._tokens(parameters["REFRESH_TOKEN"])
        if parameters["PASSWORD"] != PASSWORD:
            raise aws_error("NotAuthorizedException", "AdminInitiateAuth", "Incorrect username or password.")
        if self.challenge:
            identity = {"USER_ID_FOR_SRP": f"sub-of-{parameters['USERNAME']}"}
            return {"ChallengeName": self.challenge, "Session": "s-1", "ChallengeParameters": identity}
        return self._tokens(parameters["USERNAME"])

    def admin_respond_to_auth_challenge(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        if self.error:
            raise self.error
        return self._tokens(call["ChallengeResponses"]["USERNAME"].removeprefix("sub-of-"))

    def _tokens(self, user: str) -> dict[str, Any]:
        claims = {"sub": f"sub-of-{user}", "email": user, "exp": time.time() + self.token_seconds}
        payload = json.dumps(claims | {"cognito:groups": USERS[user]}).encode()
        token = f"header.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.signature"
        return {"AuthenticationResult": {"IdToken": token, "RefreshToken": user}}


class Aws:
    """All other AWS clients in one: the log of executions, the state machine, queues and metrics."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.metrics: dict[str, list[float]] = {}
        self.mails: list[dict[str, Any]] = []
        self.error: ClientError | None = None
        self.patterns: list[str] = []

    def add(self, history: History) -> History:
        self.lines += history.lines
        return history

    def get_paginator(self, operation: str) -> Any:
        read = self._log_lines if operation == "filter_log_events" else self._metric_data
        return type("Paginator", (), {"paginate": staticmethod(read)})

    def _log_lines(self, **call: Any) -> Iterator[Any]:
        if self.error:
            raise self.error
        assert 0 <= call["startTime"] < call["endTime"]
        self.patterns.append(call["filterPattern"])
        yield {"events": [{"message": line} for line in self.lines]}

    def _metric_data(self, **call: Any) -> Iterator[Any]:
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        for query in call["MetricDataQueries"]:
            stat = query["MetricStat"]
            values = self.metrics.get(f"{stat['Metric']['MetricName']} {stat['Stat']}", [])
            yield {
                "MetricDataResults": [
                    {"Id": query["Id"], "Timestamps": [now] * len(values), "Values": values}
                ]
            }

    def describe_state_machine(self, **_: Any) -> dict[str, Any]:
        return {"definition": json.dumps(yaml.safe_load(ASL.read_text()))}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": "2"}}

    def receive_message(self, **_: Any) -> dict[str, Any]:
        mails, self.mails = self.mails, []
        return {
            "Messages": [
                {
                    "MessageId": str(number),
                    "ReceiptHandle": "r",
                    "Body": json.dumps(mail),
                    "Attributes": {"SentTimestamp": "1800000000000"},
                }
                for number, mail in enumerate(mails)
            ]
        }

    def change_message_visibility_batch(self, **call: Any) -> None:
        self.patterns.append(f"{len(call['Entries'])} mails were released")


class Api:
    """The HTTP API: remembers the requests, and answers with what a test has set."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.is_down = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.is_down:
            raise httpx.ConnectError("refused")
        key = f"{request.method} {request.url.path}"
        status, body = self.answers.get(key, (200, {"tickets": []}))
        return httpx.Response(status, json=body)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]


@pytest.fixture
def cognito() -> Cognito:
    return Cognito()


@pytest.fixture
def aws() -> Aws:
    return Aws()


@pytest.fixture
def api() -> Api:
    return Api()


def make_console(cognito: Cognito, aws: Aws, api: Api, folder: Path | None) -> Console:
    clients: dict[str, Any] = {"cognito-idp": cognito}
    stack = DeployedStack(
        label="stack dev <in> eu-west-1",
        name="dev",
        client=lambda service: clients.get(service, aws),
        outputs={name: name for name in (*OUTPUTS, *QUEUES)} | {"ApiUrl": "http://api/stage"},
        parameters={"Stage": "dev"},
    )
    local = None
    if folder:
        (folder / "passwords.json").write_text(json.dumps(dict.fromkeys(USERS, PASSWORD)))
        (folder / "stack.json").write_text(json.dumps({"mailboxQueueUrl": "m", "modelUrl": "http://model"}))
        local = LocalTools(folder, aws)
    console = Console(stack, local)
    console.http = httpx.Client(base_url="http://api/stage", transport=httpx.MockTransport(api))
    console.index.start()
    return console


@pytest.fixture
def console(cognito: Cognito, aws: Aws, api: Api) -> Console:
    return make_console(cognito, aws, api, None)


@pytest.fixture
def local_console(cognito: Cognito, aws: Aws, api: Api, tmp_path: Path) -> Console:
    return make_console(cognito, aws, api, tmp_path)


class Browser:
    """Sends requests to the app, and keeps its cookies."""

    def __init__(self, app: Starlette) -> None:
        self._transport = httpx.ASGITransport(app=app)
        self._cookies = httpx.Cookies()
        self.headers = {"Origin": ORIGIN}

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            client = httpx.AsyncClient(
                transport=self._transport, base_url=ORIGIN, headers=self.headers, cookies=self._cookies
            )
            async with client:
                response = await client.request(method, path, **options)
                self._cookies = client.cookies
                return response

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


def browser(console: Console) -> Browser:
    return Browser(create_app(console))


type SignedIn = Callable[[str], Browser]


@pytest.fixture
def signed_in(console: Console) -> SignedIn:
    def sign_in(role: str) -> Browser:
        client = browser(console)
        form = {"user": f"{role}@example.com", "password": PASSWORD}
        assert client.post("/console/sign-in", data=form).status_code == 303
        return client

    return sign_in
