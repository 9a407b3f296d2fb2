"""The faults as the clients of the functions see them."""

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from devtools.chaos.faults import Fault
from local.processes import ProcessGroup, free_port, wait_for
from support.aws import clients

TOPIC = "arn:aws:sns:us-east-1:123456789012:support"
AWS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}
ATTEMPTS = {"dynamodb": 2, "sns": 1}  # of the functions' clients, for one call


class Target(ThreadingHTTPServer):
    """Stands in for AWS: accepts every call and keeps its body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Target

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        is_sns = b"Action=Publish" in self.server.bodies[-1]
        response = b"<PublishResponse><PublishResult/></PublishResponse>" if is_sns else b"{}"
        self.send_response(200)
        self.send_header("content-length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Target]]:
    port, group = free_port(), ProcessGroup(tmp_path_factory.mktemp("proxy"))
    with Target() as target:
        threading.Thread(target=target.serve_forever, daemon=True).start()
        arguments = ["--port", str(port), "--target", target.url]
        group.start("proxy", "devtools.chaos.proxy", *arguments, environment=os.environ | AWS)
        try:
            group.wait_until_healthy("proxy", f"http://127.0.0.1:{port}/healthz")
            yield f"http://127.0.0.1:{port}", target
        finally:
            group.stop()
            target.shutdown()


class ProxyClient:
    """The functions' own clients, whose calls go through the proxy."""

    def __init__(self, url: str, target: Target) -> None:
        self.url = url
        self.target = target
        self._dynamodb = clients.dynamodb.__wrapped__()
        self._sns = clients.sns.__wrapped__()

    def set_faults(self, **faults: object) -> httpx.Response:
        return httpx.post(f"{self.url}/_faults", json=faults)

    def put(self) -> None:
        self._dynamodb.put_item(TableName="tickets", Item={"ticketId": {"S": "one"}})

    def publish(self) -> None:
        self._sns.publish(TopicArn=TOPIC, Message="one")

    def counts(self) -> dict[str, dict[str, int]]:
        return dict(httpx.get(f"{self.url}/_counts").json())


@pytest.fixture
def proxy(running: tuple[str, Target], monkeypatch: pytest.MonkeyPatch) -> ProxyClient:
    url, target = running
    for service in ("dynamodb", "sns"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service.upper()}", f"{url}/{service}")
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    client = ProxyClient(url, target)
    client.set_faults(dynamodb={}, sns={}).raise_for_status()
    target.bodies.clear()
    return client


CALLS: dict[str, Callable[[ProxyClient], None]] = {"dynamodb": ProxyClient.put, "sns": ProxyClient.publish}
CASES = [
    ("dynamodb", Fault.THROTTLED, ClientError, "ProvisionedThroughputExceededException"),
    ("dynamodb", Fault.FAILED, ClientError, "InternalServerError"),
    ("dynamodb", Fault.TIMED_OUT, ReadTimeoutError, "Read timeout"),
    ("dynamodb", Fault.TIMED_OUT_LATE, ReadTimeoutError, "Read timeout"),
    ("dynamodb", Fault.DROPPED, ConnectionClosedError, "Connection was closed"),
    ("dynamodb", Fault.DROPPED_LATE, ConnectionClosedError, "Connection was closed"),
    ("sns", Fault.THROTTLED, ClientError, "Throttled"),
    ("sns", Fault.FAILED, ClientError, "InternalFailure"),
    ("sns", Fault.TIMED_OUT_LATE, ReadTimeoutError, "Read timeout"),
]


@pytest.mark.parametrize(("service", "kind", "error", "message"), CASES)
def test_the_client_sees_the_same_error_as_on_aws(
    proxy: ProxyClient, service: str, kind: Fault, error: type[Exception], message: str
) -> None:
    proxy.set_faults(**{service: {"probability": 1, "kinds": [kind]}}).raise_for_status()

    with pytest.raises(error, match=message):
        CALLS[service](proxy)

    executed = ATTEMPTS[service] if kind.is_executed else 0
    assert wait_for(lambda: len(proxy.target.bodies) == executed, 5)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_without_faults_calls_are_forwarded_unchanged(
    proxy: ProxyClient, call: Callable[[ProxyClient], None]
) -> None:
    call(proxy)

    assert len(proxy.target.bodies) == 1
    assert b"one" in proxy.target.bodies[0]


def test_during_an_outage_every_call_of_the_service_fails(proxy: ProxyClient) -> None:
    proxy.set_faults(dynamodb={"outageSeconds": 60, "kinds": ["failed"]}).raise_for_status()

    with pytest.raises(ClientError):
        proxy.put()
    proxy.publish()
    proxy.set_faults(dynamodb={}).raise_for_status()
    proxy.put()

    assert len(proxy.target.bodies) == 2


def test_calls_are_counted_by_outcome(proxy: ProxyClient) -> None:
    before = proxy.counts().get("sns", {}).get("passed", 0)

    proxy.publish()

    assert proxy.counts()["sns"]["passed"] == before + 1


@pytest.mark.parametrize("faults", [
    [], {"dynamodb": 1}, {"dynamodb": {"probability": 2}}, {"dynamodb": {"kinds": ["unknown"]}},
    {"dynamodb": {"kinds": []}}, {"dynamodb": {"outageSeconds": -1}},
])  # fmt: skip
def test_invalid_faults_are_rejected(proxy: ProxyClient, faults: Any) -> None:
    assert httpx.post(f"{proxy.url}/_faults", json=faults).status_code == 400
