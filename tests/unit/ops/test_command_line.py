"""The command, its options in the environment, and where the stack is found."""

import json
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest

from local.state import Stack
from ops.__main__ import main

OUTPUTS = (
    "TicketsTable",
    "FailedTicketsQueueUrl",
    "WaitingRoomQueueUrl",
    "PriorityWaitingRoomQueueUrl",
    "StateMachineLogGroup",
    "OperationsLogGroup",
)


def one_sentence(capsys: Any) -> str:
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    return str(output.err)


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "Usage: python -m ops replay|recover|dismiss|rollback|verify"),
        (["repeat"], {}, "Usage: python -m ops replay|"),
        (["replay", "extra"], {}, "Usage: python -m ops replay|"),
        (["replay"], {"SINCE": "2"}, "SINCE=2 is not a duration: give it as 30m, 2h or 7d."),
        (["replay"], {"SINCE": "yesterday"}, "SINCE=yesterday is not a duration"),
        (["recover"], {"SINCE": "0d"}, "SINCE=0d is not a duration"),
        (["replay"], {"SINCE": "99999999d"}, "is not a duration"),
        (["replay"], {"DRY_RUN": "maybe"}, "DRY_RUN=maybe is neither yes nor no"),
        (["replay"], {"DEADLINE": "-1"}, "DEADLINE=-1 is not a number of seconds"),
        (["replay"], {"DEADLINE": "soon"}, "DEADLINE=soon is not a number of seconds"),
        (["dismiss"], {"TICKET": "t-1"}, "Say why in 1 to 500 characters, without the customer's words"),
        (["dismiss"], {"TICKET": "t-1", "REASON": "x" * 501}, "Say why in 1 to 500 characters"),
        (["dismiss"], {"TICKET": "t-1", "REASON": "\x1b[2J"}, "Say why in 1 to 500 characters"),
        (
            ["dismiss"],
            {"REASON": "answered", "SINCE": "1d"},
            "dismiss takes no SINCE: name one TICKET or one",
        ),
        (["replay"], {"PROFILE": "prod"}, "PROFILE is for a deployed stack"),
        (["rollback"], {"PROFILE": "prod"}, "PROFILE is for a deployed stack"),
        (["verify"], {"DEADLINE": "0"}, "DEADLINE=0 is not a number of seconds"),
        (
            ["verify"],
            {"STACK": "s", "AWS_ENDPOINT_URL": "http://x"},
            "AWS_ENDPOINT_URL is set, so this is not AWS",
        ),
        (["verify"], {}, "No local stack is running. Start one with `make run`"),
        (["rollback"], {}, "No local stack is running. Start one with `make run`"),
        (["replay"], {}, "No local stack is running. Start one with `make run`"),
    ],
)
def test_a_command_that_cannot_be_run_ends_with_2_and_one_sentence(
    arguments: list[str], environment: dict[str, str], expected: str, tmp_path: Path, capsys: Any
) -> None:
    assert main(arguments, environment | {"STACK_DIR": str(tmp_path)}) == 2

    assert expected in one_sentence(capsys)


@pytest.fixture
def deployed(aws: None) -> dict[str, str]:
    """A stack with the outputs that the commands need."""
    queues = {name: boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"] for name in ("f", "r", "p")}
    for group in ("g", "o"):
        boto3.client("logs").create_log_group(logGroupName=group)
    values = dict(zip(OUTPUTS, ("tickets", queues["f"], queues["r"], queues["p"], "g", "o"), strict=True))
    deploy("pipeline", values)
    return values


def deploy(name: str, outputs: dict[str, str]) -> None:
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def test_a_deployed_stack_is_found_by_its_name(deployed: dict[str, str], capsys: Any) -> None:
    assert main(["replay"], {"STACK": "pipeline"}) == 0
    assert main(["replay"], {"STACK": "pipeline", "DRY_RUN": "1"}) == 0
    assert main(["recover"], {"STACK": "pipeline", "SINCE": "30m"}) == 0

    assert "Nothing failed in stack pipeline in us-east-1" in capsys.readouterr().out


@pytest.mark.parametrize("handles", [{}, {"TICKET": "t-1", "MESSAGE": "m-1"}])
def test_dismiss_takes_a_ticket_or_a_message(
    deployed: dict[str, str], capsys: Any, handles: dict[str, str]
) -> None:
    assert main(["dismiss"], {"STACK": "pipeline", "REASON": "answered"} | handles) == 2

    assert one_sentence(capsys).startswith(
        "Name what to dismiss: TICKET=<ticket id>, or MESSAGE=<message id>."
    )


def test_dismiss_names_what_it_does_not_find(deployed: dict[str, str], capsys: Any) -> None:
    assert main(["dismiss"], {"STACK": "pipeline", "REASON": "answered", "MESSAGE": "m-1"}) == 2

    assert "There is no failed message m-1 in stack pipeline in us-east-1" in one_sentence(capsys)


def test_empty_variables_are_as_if_not_given(deployed: dict[str, str]) -> None:
    unset = dict.fromkeys(("TICKET", "SINCE", "ERROR", "DRY_RUN", "PROFILE", "DEADLINE"), "")

    assert main(["replay"], {"STACK": "pipeline"} | unset) == 0


@pytest.mark.parametrize("name", ["TICKET", "ERROR"])
def test_recover_refuses_what_it_would_have_to_ignore(
    deployed: dict[str, str], capsys: Any, name: str
) -> None:
    assert main(["recover"], {"STACK": "pipeline", name: "x"}) == 2

    assert f"recover takes no {name}" in one_sentence(capsys)


def test_an_unknown_ticket_ends_with_2(deployed: dict[str, str], capsys: Any) -> None:
    assert main(["replay"], {"STACK": "pipeline", "TICKET": "nobody"}) == 2

    assert "Ticket nobody is unknown in stack pipeline in us-east-1" in one_sentence(capsys)


def test_a_stack_that_does_not_exist_ends_with_2(aws: None, capsys: Any) -> None:
    assert main(["replay"], {"STACK": "nowhere"}) == 2

    assert "Stack nowhere cannot be read: " in one_sentence(capsys)


def test_a_stack_of_another_kind_ends_with_2(aws: None, capsys: Any) -> None:
    deploy("other", {"Url": "u"})

    assert main(["replay"], {"STACK": "other"}) == 2

    assert "Stack other has no output 'TicketsTable': is it a support pipeline?" in one_sentence(capsys)


def test_an_unknown_profile_ends_with_2(aws: None, capsys: Any) -> None:
    assert main(["replay"], {"STACK": "pipeline", "PROFILE": "no-such-profile"}) == 2

    assert "no-such-profile" in one_sentence(capsys)


def test_a_failing_aws_ends_with_1_and_one_sentence(deployed: dict[str, str], capsys: Any) -> None:
    boto3.client("dynamodb").delete_table(TableName="tickets")

    assert main(["replay"], {"STACK": "pipeline"}) == 1

    assert "Ended early by AWS, with nothing lost: " in one_sentence(capsys)


def test_without_a_stack_name_the_local_stack_is_meant(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fields = dict.fromkeys(Stack.__dataclass_fields__, "here")
    stack = Stack(**fields | {"endpoint_url": "http://127.0.0.1:9", "region": "us-east-1"})
    stack.save(tmp_path)

    with moto.mock_aws():
        assert main(["replay"], {"STACK_DIR": str(tmp_path)}) == 2

    assert "127.0.0.1:9" in one_sentence(capsys)


def test_interrupted_it_says_that_what_was_replayed_goes_on(
    deployed: dict[str, str], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("ops.__main__.replay", interrupt)

    assert main(["replay"], {"STACK": "pipeline"}) == 130

    assert one_sentence(capsys) == "Stopped. What was replayed goes on by itself.\n"
