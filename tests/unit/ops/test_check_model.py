"""Before anything is deployed, Bedrock is asked whether the model can be called there."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ops.check_model import Deployment, main
from ops.errors import UsageError

PROJECT = Path(__file__).parents[3]
NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"


class Aws(ThreadingHTTPServer):
    """STS, CloudFormation and Bedrock, as far as the check asks them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.models = [NOVA]
        self.profiles: list[str] = []
        self.stack: dict[str, str] | None = None
        self.denied = False

    @property
    def environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.server_port}"
        return {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


class Handler(BaseHTTPRequestHandler):
    server: Aws

    def do_GET(self) -> None:
        if self.server.denied:
            self.send(403, {"message": "not authorized to perform: bedrock:ListFoundationModels"})
        elif self.path.startswith("/foundation-models"):
            models = [{"modelArn": "arn", "modelId": one} for one in self.server.models]
            self.send(200, {"modelSummaries": models})
        else:
            self.send(200, self.page())

    def page(self) -> dict[str, Any]:
        """One profile a page."""
        start = int(parse_qs(urlsplit(self.path).query).get("nextToken", ["0"])[0])
        found = [{"inferenceProfileId": one, "status": "ACTIVE"} for one in self.server.profiles]
        more = {"nextToken": str(start + 1)} if start + 1 < len(found) else {}
        return {"inferenceProfileSummaries": found[start : start + 1], **more}

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
        """Say nothing."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with Aws() as server:
        Thread(target=server.serve_forever, daemon=True).start()
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
class Said:
    capsys: Any
    arguments: list[str] = field(default_factory=list)

    def refusal(self, *arguments: str) -> str:
        assert main(arguments) == 1
        output = self.capsys.readouterr()
        assert output.out == ""
        assert output.err.count("\n") == 1
        assert output.err.endswith(" Nothing was deployed.\n")
        return str(output.err)

    def answer(self, *arguments: str) -> str:
        assert main(arguments) == 0
        output = self.capsys.readouterr()
        assert output.err == ""
        return str(output.out)


@pytest.fixture
def check(aws: Aws, capsys: Any) -> Said:
    return Said(capsys)


def test_where_the_stack_goes_is_said_with_the_model(aws: Aws, check: Said) -> None:
    said = check.answer()
    assert said == (
        f"Deploying support-pipeline-dev to account 123456789012, region us-east-1, with the model {NOVA}.\n"
    )
    assert "support-pipeline-prod" in check.answer("--config-env", "prod")


def test_the_profile_that_the_region_needs_is_looked_for_on_every_page(aws: Aws, check: Said) -> None:
    aws.models, aws.profiles = [], [f"eu.{CLAUDE}", f"eu.{NOVA}", "eu.amazon.nova-pro-v1:0"]
    assert f"the model eu.{NOVA}." in check.answer("--region", "eu-west-1")
    aws.profiles = [f"eu.{CLAUDE}"]
    assert f"Bedrock does not offer {NOVA} in eu-west-1" in check.refusal("--region", "eu-west-1")


def test_in_a_region_that_the_mapping_does_not_know_it_says_what_bedrock_offers_there(
    aws: Aws, check: Said
) -> None:
    aws.models, aws.profiles = [], [f"ca.{NOVA}", f"us.{NOVA}"]
    said = check.refusal("--region", "ca-central-1")
    assert f"{NOVA} cannot be called in ca-central-1 with InferenceProfile=auto: set it to ca or us" in said
    named = ["--region", "ca-central-1", "--parameter-overrides", "InferenceProfile=ca"]
    assert f"the model ca.{NOVA}." in check.answer(*named)


def test_another_model_needs_a_named_profile(aws: Aws, check: Said) -> None:
    aws.profiles = [f"us.{CLAUDE}"]
    said = check.refusal("--parameter-overrides", f"ModelId={CLAUDE}")
    assert "InferenceProfile=auto: set it to us," in said
    assert "set it to us," in check.refusal(
        "--parameter-overrides", f"ModelId={CLAUDE} InferenceProfile=none"
    )
    both = check.answer("--parameter-overrides", f"ModelId={CLAUDE}", "InferenceProfile=us", "Stage=dev")
    assert f"the model us.{CLAUDE}." in both


def test_the_second_model_is_looked_for_as_well_when_there_is_to_be_one(aws: Aws, check: Said) -> None:
    aws.profiles = [f"us.{CLAUDE}"]
    chosen = ["--parameter-overrides", f"FallbackModelId={CLAUDE}"]
    said = check.refusal(*chosen)
    assert f"{CLAUDE} cannot be called in us-east-1 with FallbackInferenceProfile=none: set it to us," in said
    both = check.answer(*chosen, "FallbackInferenceProfile=us")
    assert f"with the model {NOVA}, and us.{CLAUDE} when that is throttled or unavailable." in both
    aws.profiles = []
    assert "or another FallbackModelId and FallbackInferenceProfile." in check.refusal(*chosen)


def test_a_deployed_stack_keeps_its_parameters_as_sam_does(aws: Aws, check: Said) -> None:
    aws.stack = {"ModelId": CLAUDE, "InferenceProfile": "us"}
    aws.profiles = [f"us.{CLAUDE}"]
    assert f"the model us.{CLAUDE}." in check.answer()
    given = ["--parameter-overrides", f"ModelId={NOVA} InferenceProfile=none"]
    assert f"the model {NOVA}." in check.answer(*given)


def test_without_a_region_credentials_or_permission_it_says_so(
    aws: Aws, check: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.denied = True
    assert "bedrock:ListFoundationModels" in check.refusal()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "no AWS credentials" in check.refusal()
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "No region is chosen" in check.refusal()
    assert "no section staging" in check.refusal("--config-env", "staging")
    assert "nobody" in check.refusal("--profile", "nobody")


def test_a_region_without_bedrock_is_named_as_the_cause(
    aws: Aws, check: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert "does not have the service" in check.refusal()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"a": "1", "b": "x y"}),
        (["--parameter-overrides", "c=2 d='x y'"], {"c": "2", "d": "x y"}),
        (["--parameter-overrides", "c=2", "ParameterKey=d,ParameterValue=3=4"], {"c": "2", "d": "3=4"}),
    ],
)
def test_parameters_are_read_as_sam_reads_them(
    tmp_path: Path, arguments: list[str], expected: Mapping[str, str]
) -> None:
    samconfig = tmp_path / "samconfig.toml"
    samconfig.write_text(
        '[prod.global.parameters]\nstack_name = "s"\nregion = "eu-west-1"\n'
        "[prod.deploy.parameters]\nparameter_overrides = \"a=1 b='x y'\"\n"
    )
    found = Deployment.read(samconfig, ["--config-env", "prod", "--no-confirm-changeset", *arguments])
    assert found == Deployment(stack_name="s", region="eu-west-1", profile=None, parameters=expected)
    with pytest.raises(UsageError):
        Deployment.read(samconfig, ["--config-env", "dev"])


def test_make_deploy_ends_before_it_builds_anything(aws: Aws) -> None:
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
