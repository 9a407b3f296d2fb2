"""Every mapping template of the contract, rendered by the emulator and by Apache Velocity 1.7."""

import json
import os
import random
import re
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devtools.emulator.mapping_template import Parameters, render
from tests.second_opinion.conftest import PROJECT

SEED = int(os.environ.get("SEED", "19"))
REQUESTS = int(os.environ.get("REQUESTS", "3000"))  # for each template
JARS = [
    Path("/usr/share/java") / f"{name}.jar" for name in ("velocity", "commons-lang", "commons-collections3")
]

UUID = "7F9C24E8-3b12-4a5f-9d6e-1c2b3a4d5e6f"
# Texts that could break out of a JSON string, of a string inside it, or of a template.
TOKENS = [
    '"', "'", "\\", "\\\\", "\\'", '\\"', "/", "</script>", '","name":"x', "{", "[", "]", ",", ":", "null",
    "\n", "\r\n", "\t", "\b", "\f", "\x00", "\x1f", "\x7f", "\u2028", "\u2029", "\ufeff", "\u202e",
    "$", "#", "${", "}", "$input.body", "$util", "${context.requestId}", "$!x",
    "#set($x = 1)", "#if(true)", "#end", "##", "#*", "*#", "#[[", "]]#",
    " ", "a", "Z", "é", "ß", "İ", "😀", "مرحبا", "日本", "Throttl", UUID, UUID[:-1],
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A template with a request."""

    name: str
    template: str
    document: Mapping[str, str]  # the body of the request or of the integration's response
    header: Mapping[str, str]
    context: Mapping[str, str]  # by path, with slashes between the names

    @property
    def body(self) -> str:
        return json.dumps(self.document)

    def rendered(self) -> tuple[str, dict[str, Any]]:
        """The text that the emulator renders, and the values of `$context.responseOverride`."""
        rendering = render(
            self.template,
            body=self.body,
            parameters=Parameters(header=self.header),
            context=_nested(self.context),
        )
        return rendering.text, {} if rendering.status is None else {"status": rendering.status}

    def lines(self) -> Iterator[str]:
        """The input of Render.java."""
        for path in re.findall(r"\$input\.json\('([^']*)'\)", self.template):
            value = render(f"$input.json('{path}')", body=self.body, parameters=Parameters(), context={}).text
            yield _line("json", path, value)
        for name, text in self.document.items():
            yield _line("path", f"$.{name}", text)
        for name, text in self.header.items():
            yield _line("params", name, text)
        for name, text in self.context.items():
            yield _line("context", name, text)
        yield _line("render", self.name, self.template)


def _line(kind: str, name: str, value: str) -> str:
    return " ".join([kind, _encoded(name), _encoded(value)])


def _encoded(text: str) -> str:
    return b64encode(text.encode("utf-16-be", "surrogatepass")).decode()


def _decoded(word: str) -> str:
    return b64decode(word).decode("utf-16-be", "surrogatepass")


def _nested(values: Mapping[str, str]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, value in values.items():
        *parents, name = path.split("/")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return root


def templates(contract: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The name and text of every mapping template."""
    for path, item in contract["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            integration = operation["x-amazon-apigateway-integration"]
            for kind, text in integration.get("requestTemplates", {}).items():
                yield f"{method} {path}: request of {kind}", text
            for pattern, response in integration.get("responses", {}).items():
                for kind, text in response.get("responseTemplates", {}).items():
                    yield f"{method} {path}: response {pattern} of {kind}", text


def requests(contract: Mapping[str, Any]) -> Iterator[Case]:
    """REQUESTS hostile requests for every template, always the same for the same SEED."""
    chance = random.Random(SEED)  # noqa: S311 (no secret)
    contexts = ["requestId", "extendedRequestId", "authorizer/claims/sub", "authorizer/claims/cognito:groups"]

    def text() -> str:
        return chance.choice(["", UUID, "".join(chance.choices(TOKENS, k=chance.randint(0, 12)))])

    def some(names: list[str]) -> dict[str, str]:
        return {name: text() for name in names if chance.random() < 0.8}

    for name, template in templates(contract):
        parameters = list(dict.fromkeys(re.findall(r"\$input\.params\('([^']*)'\)", template)))
        for _ in range(REQUESTS):
            # API Gateway always has an extended request id and a time.
            always = {"extendedRequestId": text(), "requestTimeEpoch": str(chance.randint(0, 10**13))}
            yield Case(
                name,
                template,
                document=some(["content", "subject", "customerId", "__type", "message"])
                | chance.choice([{}, {"priority": "high"}, {"priority": text()}]),
                header=some(parameters),
                context=some([*contexts, "identity/userArn"]) | always,
            )


@pytest.fixture(scope="module")
def velocity() -> list[str]:
    """The command that runs Render.java."""
    java = shutil.which("java")
    if java is None or not all(jar.exists() for jar in JARS):
        pytest.skip(
            "Apache Velocity is not here: apt-get install velocity libcommons-lang-java default-jdk-headless"
        )
    source = PROJECT / "tests" / "second_opinion" / "Render.java"
    return [java, "-cp", ":".join(map(str, JARS)), str(source)]


def test_every_template_renders_as_in_velocity(velocity: list[str], contract: dict[str, Any]) -> None:
    cases = list(requests(contract))
    lines = "\n".join(line for case in cases for line in case.lines())
    ended = subprocess.run(velocity, input=lines + "\n", capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    answers = ended.stdout.split("\n")[:-1]
    assert len(answers) == len(cases) > 0
    for case, answer in zip(cases, answers, strict=True):
        text, override = map(_decoded, answer.split(" "))
        expected, status = case.rendered()
        assert (text, override) == (expected, _java(status)), (SEED, case)


def _java(values: Mapping[str, Any]) -> str:
    """A map as Java prints it."""
    return "{" + ", ".join(f"{name}={value}" for name, value in values.items()) + "}"
