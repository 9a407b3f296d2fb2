"""The check before a deployment that the model can be called in the region."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ops.check_model import Deployment, main
from ops.options import UsageError

PROJECT = Path(__file__).parents[2]
NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"


class FakeAws(ThreadingHTTPServer):
    """A fake of STS, CloudFormation and Bedrock for the calls of the check."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.models = [NOVA]
        self.profiles: list[str] = []
        self.stack: dict[str, str] | None = None
        self.denied = False

    @property
    def environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.server_port}"
        # AWS_ENDPOINT_URL, for all services, is refused.
        endpoints = {f"AWS_ENDPOINT_URL_{name}": url for name in ("STS", "CLOUDFORMATION", "BEDROCK")}
        return endpoints | {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


class Handler(BaseHTTPRequestHandler):
    server: FakeAws

    def do_GET(self) -> None:
        if self.server.denied:
            self.send(403, {"message": "not authorized to perform: bedrock:ListFoundationModels"})
        elif self.path.startswith("/foundation-models"):
            models = [{"modelArn": "arn", "modelId": model} for model in self.server.models]
            self.send(200, {"modelSummaries": models})
        else:
            self.send(200, self.profiles_page())

    def profiles_page(self) -> dict[str, Any]:
        """A page of one profile."""
        start = int(parse_qs(urlsplit(self.path).query).get("nextToken", ["0"])[0])
        profiles = [{"inferenceProfileId": one, "status": "ACTIVE"} for one in self.server.profiles]
        more = {"nextToken": str(start + 1)} if start + 1 < len(profiles) else {}
        return {"inferenceProfileSummaries": profiles[start : start + 1], **more}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if "GetCallerIdentity" in body:
            identity = "<GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>"
            self.send(200, f"<GetCallerIdentityResponse>{identity}</GetCallerIdentityResponse>")
        elif self.server.stack is None:
            error = "<Code>ValidationError</Code><Message>Stack with id x does not exist</Message>"
            self.send(400, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>")
        else:
            pairs = self.server.stack.items()
            members = "".join(
                f"<member><ParameterKey>{n}</ParameterKey><ParameterValue>{v}</ParameterValue></member>"
                for n, v in pairs
            )
            stack = f"<Stacks><member><Parameters>{members}</Parameters></member></Stacks>"
            result = f"<DescribeStacksResult>{stack}</DescribeStacksResult>"
            self.send(200, f"<DescribeStacksResponse>{result}</DescribeStacksResponse>")

    def send(self, status: int, body: Any) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Write no log."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with FakeAws() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
        server.shutdown()


@dataclass
class Command:
    """Runs the check with arguments and returns its output."""

    capsys: Any

    def fail(self, *arguments: str, exit_code: int = 2) -> str:
        assert main(arguments) == exit_code
        output = self.capsys.readouterr()
        assert output.out == ""
        assert output.err.count("\n") == 1
        assert output.err.endswith(" Nothing was deployed.\n")
        return str(output.err)

    def succeed(self, *arguments: str) -> str:
        assert main(arguments) == 0
        output = self.capsys.readouterr()
        assert output.err == ""
        return str(output.out)


@pytest.fixture
def check(aws: FakeAws, capsys: Any) -> Command:
    return Command(capsys)


def test_the_account_the_region_and_the_model_are_printed(aws: FakeAws, check: Command) -> None:
    assert check.succeed() == (
        f"Deploying support-pipeline-dev to account 123456789012, region us-east-1, with the model {NOVA}.\n"
    )
    assert "support-pipeline-prod" in check.succeed("--config-env", "prod")


def test_the_inference_profile_is_searched_on_every_page(aws: FakeAws, check: Command) -> None:
    aws.models, aws.profiles = [], [f"eu.{CLAUDE}", f"eu.{NOVA}", "eu.amazon.nova-pro-v1:0"]
    assert f"the model eu.{NOVA}." in check.succeed("--region", "eu-west-1")
    aws.profiles = [f"eu.{CLAUDE}"]
    assert f"Bedrock does not offer {NOVA} in eu-west-1" in check.fail("--region", "eu-west-1")


def test_in_a_region_that_is_not_in_the_mapping_the_available_profiles_are_named(
    aws: FakeAws, check: Command
) -> None:
    aws.models, aws.profiles = [], [f"ca.{NOVA}", f"us.{NOVA}"]
    output = check.fail("--region", "ca-central-1")
    assert f"{NOVA} cannot be called in ca-central-1 with InferenceProfile=auto: set it to ca or us" in output
    with_profile = ["--region", "ca-central-1", "--parameter-overrides", "InferenceProfile=ca"]
    assert f"the model ca.{NOVA}." in check.succeed(*with_profile)


def test_another_model_requires_an_explicit_profile(aws: FakeAws, check: Command) -> None:
    aws.profiles = [f"us.{CLAUDE}"]
    output = check.fail("--parameter-overrides", f"ModelId={CLAUDE}")
    assert "InferenceProfile=auto: set it to us," in output
    assert "set it to us," in check.fail("--parameter-overrides", f"ModelId={CLAUDE} InferenceProfile=none")
    output = check.succeed("--parameter-overrides", f"ModelId={CLAUDE}", "InferenceProfile=us", "Stage=dev")
    assert f"the model us.{CLAUDE}." in output


def test_the_fallback_model_is_checked_too(aws: FakeAws, check: Command) -> None:
    aws.profiles = [f"us.{CLAUDE}"]
    with_fallback = ["--parameter-overrides", f"FallbackModelId={CLAUDE}"]
    output = check.fail(*with_fallback)
    assert (
        f"{CLAUDE} cannot be called in us-east-1 with FallbackInferenceProfile=none: set it to us," in output
    )
    output = check.succeed(*with_fallback, "FallbackInferenceProfile=us")
    assert f"with the model {NOVA} and the fallback model us.{CLAUDE}." in output
    aws.profiles = []
    assert "or another FallbackModelId and FallbackInferenceProfile." in check.fail(*with_fallback)


def test_a_deployed_stack_keeps_its_parameters(aws: FakeAws, check: Command) -> None:
    aws.stack = {"ModelId": CLAUDE, "InferenceProfile": "us"}
    aws.profiles = [f"us.{CLAUDE}"]
    assert f"the model us.{CLAUDE}." in check.succeed()
    overrides = ["--parameter-overrides", f"ModelId={NOVA} InferenceProfile=none"]
    assert f"the model {NOVA}." in check.succeed(*overrides)


def test_a_missing_region_credentials_or_permission_is_reported(
    aws: FakeAws, check: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.denied = True
    assert "bedrock:ListFoundationModels" in check.fail(exit_code=1)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "AWS credentials are missing" in check.fail()
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "No AWS region is set" in check.fail()
    assert "no section staging" in check.fail("--config-env", "staging")
    assert "nobody" in check.fail("--profile", "nobody")


def test_a_region_without_bedrock_is_reported(
    aws: FakeAws, check: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert "does not offer the service" in check.fail(exit_code=1)


def test_a_deployment_to_the_emulator_is_refused(
    aws: FakeAws, check: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert check.fail().startswith("AWS_ENDPOINT_URL is set, so this is not AWS but http://127.0.0.1:4566 ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"a": "1", "b": "x y"}),
        (["--parameter-overrides", "c=2 d='x y'"], {"c": "2", "d": "x y"}),
        (["--parameter-overrides", "c=2", "ParameterKey=d,ParameterValue=3=4"], {"c": "2", "d": "3=4"}),
    ],
)
def test_parameters_are_read_like_sam_does(
    tmp_path: Path, arguments: list[str], expected: Mapping[str, str]
) -> None:
    samconfig = tmp_path / "samconfig.toml"
    samconfig.write_text(
        '[prod.global.parameters]\nstack_name = "s"\nregion = "eu-west-1"\n'
        "[prod.deploy.parameters]\nparameter_overrides = \"a=1 b='x y'\"\n"
    )
    deployment = Deployment.read(samconfig, ["--config-env", "prod", "--no-confirm-changeset", *arguments])
    assert deployment == Deployment(stack_name="s", region="eu-west-1", profile=None, parameters=expected)
    with pytest.raises(UsageError):
        Deployment.read(samconfig, ["--config-env", "dev"])


def test_make_deploy_stops_before_the_build(aws: FakeAws) -> None:
    aws.models = []
    done = subprocess.run(
        ["make", "-s", "deploy", "STAGE=prod", "ARGS=--region eu-west-1"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.splitlines()[0].startswith(f"Bedrock does not offer {NOVA} in eu-west-1")
