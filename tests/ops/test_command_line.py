"""The command line: commands, options, the selection of the stack, and exit codes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from local.stack import Stack
from ops.__main__ import main
from tests.helpers.aws_clients import aws_client

OUTPUTS = (
    "TicketsTable",
    "FailedTicketsQueueUrl",
    "WaitingRoomQueueUrl",
    "PriorityWaitingRoomQueueUrl",
    "StateMachineLogGroup",
    "OperationsLogGroup",
)


ACTING = "Acting on stack pipeline in account 123456789012, region us-east-1.\n"
COMMANDS = (
    "replay",
    "recover",
    "dismiss",
    "rollback",
    "verify",
    "ticket",
    "trace",
    "cost",
    "corrections",
    "sweep",
    "digest",
)


def error_message(capsys: Any, *, output_before: str = "") -> str:
    """The only line that was written to standard error, after that output."""
    output = capsys.readouterr()
    assert output.out == output_before
    assert output.err.count("\n") == 1
    return str(output.err)


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "Usage: python -m ops replay|recover|dismiss|rollback|verify"),
        (["repeat"], {}, "Usage: python -m ops replay|"),
        (["replay", "extra"], {}, "Usage: python -m ops replay|"),
        (["replay"], {"SINCE": "2"}, "SINCE must be a duration such as 30m, 2h or 7d, not 2."),
        (
            ["replay"],
            {"SINCE": "yesterday"},
            "SINCE must be a duration such as",
        ),
        (["recover"], {"SINCE": "0d"}, "7d, not 0d."),
        (["replay"], {"SINCE": "99999999d"}, "7d, not 99999999d."),
        (["replay"], {"DRY_RUN": "maybe"}, "DRY_RUN must be 1, or left out, not maybe."),
        (["replay"], {"DEADLINE": "-1"}, "DEADLINE must be a number of seconds from 1 to"),
        (["replay"], {"DEADLINE": "soon"}, "to 99999, not soon."),
        (["dismiss"], {"TICKET": "t-1"}, "REASON must have 1 to 500 printable characters"),
        (
            ["dismiss"],
            {"TICKET": "t-1", "REASON": "x" * 501},
            "REASON must have 1 to 500 printable characters",
        ),
        (
            ["dismiss"],
            {"TICKET": "t-1", "REASON": "\x1b[2J"},
            "REASON must have 1 to 500 printable characters",
        ),
        (
            ["dismiss"],
            {"REASON": "answered", "SINCE": "1d"},
            "dismiss does not accept SINCE: set TICKET or MESSAGE.",
        ),
        (["replay"], {"PROFILE": "prod"}, "PROFILE requires STACK, the name of a deployed stack."),
        (["rollback"], {"PROFILE": "prod"}, "PROFILE requires STACK, the name of a deployed stack."),
        (["verify"], {"DEADLINE": "0"}, "to 99999, not 0."),
        (["ticket"], {}, "Set the ticket to show: TICKET=<ticket id>."),
        (["trace"], {}, "Set the ticket to show: TICKET=<ticket id>."),
        (["trace"], {"TICKET": "t-1", "SINCE": "1d"}, "trace does not accept SINCE: set TICKET."),
        (["cost"], {"TICKET": "t-1"}, "cost does not accept TICKET: it prices the whole stack; set SINCE."),
        (["corrections"], {"TICKET": "t-1"}, "corrections does not accept TICKET: it saves the corrections"),
        (["sweep"], {"DRY_RUN": "1"}, "sweep does not accept DRY_RUN: it sweeps all stuck tickets."),
        (["digest"], {"TICKET": "t-1"}, "digest does not accept TICKET: it mails all tickets"),
    ],
)
def test_an_invalid_command_exits_with_2_and_one_line(
    arguments: list[str], environment: dict[str, str], expected: str, tmp_path: Path, capsys: Any
) -> None:
    assert main(arguments, environment | {"STACK_DIR": str(tmp_path)}) == 2

    assert expected in error_message(capsys)


def options(command: str) -> dict[str, str]:
    """The options that the command requires."""
    ticket = {"TICKET": "t-1"} if command in ("ticket", "trace", "dismiss") else {}
    return ticket | ({"REASON": "answered"} if command == "dismiss" else {})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_stack_name_is_refused_where_all_calls_go_to_the_emulator(command: str, capsys: Any) -> None:
    sourced = {"STACK": "pipeline", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}

    assert main([command], options(command) | sourced) == 2

    assert error_message(capsys) == (
        "AWS_ENDPOINT_URL is set, so this is not AWS but http://127.0.0.1:4566 "
        "(as after `. .local/aws.env`): open a new terminal to use AWS.\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_stack_every_command_says_how_to_get_one(command: str, tmp_path: Path, capsys: Any) -> None:
    assert main([command], options(command) | {"STACK_DIR": str(tmp_path)}) == 2

    assert error_message(capsys) == (
        "No local stack is running. Start one with `make run`, or name a deployed one with STACK=.\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_the_first_line_says_on_which_account_and_region_a_command_acts(
    deployed: dict[str, str], command: str, capsys: Any
) -> None:
    main([command], options(command) | {"STACK": "pipeline", "DEADLINE": "1"})

    assert capsys.readouterr().out.startswith(ACTING)


@pytest.fixture
def deployed(aws: None) -> dict[str, str]:
    """A stack with the outputs that the commands need."""
    queues = {name: aws_client("sqs").create_queue(QueueName=name)["QueueUrl"] for name in ("f", "r", "p")}
    for group in ("g", "o"):
        aws_client("logs").create_log_group(logGroupName=group)
    values = dict(zip(OUTPUTS, ("tickets", queues["f"], queues["r"], queues["p"], "g", "o"), strict=True))
    deploy("pipeline", values)
    return values


def deploy(name: str, outputs: dict[str, str]) -> None:
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    aws_client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def test_a_deployed_stack_is_selected_by_its_name(deployed: dict[str, str], capsys: Any) -> None:
    assert main(["replay"], {"STACK": "pipeline"}) == 0
    assert main(["replay"], {"STACK": "pipeline", "DRY_RUN": "1"}) == 0
    assert main(["recover"], {"STACK": "pipeline", "SINCE": "30m"}) == 0

    assert "Nothing failed in stack pipeline in us-east-1" in capsys.readouterr().out


@pytest.mark.parametrize("ids", [{}, {"TICKET": "t-1", "MESSAGE": "m-1"}])
def test_dismiss_requires_either_a_ticket_or_a_message(
    deployed: dict[str, str], capsys: Any, ids: dict[str, str]
) -> None:
    assert main(["dismiss"], {"STACK": "pipeline", "REASON": "answered"} | ids) == 2

    assert error_message(capsys).startswith(
        "Set what to dismiss: either TICKET=<ticket id> or MESSAGE=<message id>."
    )


def test_dismissing_an_unknown_message_exits_with_2(deployed: dict[str, str], capsys: Any) -> None:
    assert main(["dismiss"], {"STACK": "pipeline", "REASON": "answered", "MESSAGE": "m-1"}) == 2

    assert "There is no failed message m-1 in stack pipeline in us-east-1" in error_message(
        capsys, output_before=ACTING
    )


def test_empty_variables_are_ignored(deployed: dict[str, str]) -> None:
    unset = dict.fromkeys(("TICKET", "SINCE", "ERROR", "DRY_RUN", "PROFILE", "DEADLINE"), "")

    assert main(["replay"], {"STACK": "pipeline"} | unset) == 0


@pytest.mark.parametrize("name", ["TICKET", "ERROR"])
def test_recover_rejects_options_that_it_would_ignore(
    deployed: dict[str, str], capsys: Any, name: str
) -> None:
    assert main(["recover"], {"STACK": "pipeline", name: "x"}) == 2

    assert f"recover does not accept {name}: " in error_message(capsys)


def test_replaying_an_unknown_ticket_exits_with_2(deployed: dict[str, str], capsys: Any) -> None:
    assert main(["replay"], {"STACK": "pipeline", "TICKET": "nobody"}) == 2

    assert "Ticket nobody does not exist in stack pipeline in us-east-1" in error_message(
        capsys, output_before=ACTING
    )


def test_a_stack_that_does_not_exist_exits_with_2(aws: None, capsys: Any) -> None:
    assert main(["replay"], {"STACK": "nowhere"}) == 2

    assert "Stack nowhere cannot be read: " in error_message(capsys)


def test_a_stack_of_another_kind_exits_with_2(aws: None, capsys: Any) -> None:
    deploy("other", {"Url": "u"})

    assert main(["replay"], {"STACK": "other"}) == 2

    assert "Stack other has no output 'TicketsTable': is it a support pipeline?" in error_message(
        capsys, output_before=ACTING.replace("pipeline", "other")
    )


def test_an_unknown_profile_exits_with_2(aws: None, capsys: Any) -> None:
    assert main(["replay"], {"STACK": "pipeline", "PROFILE": "no-such-profile"}) == 2

    assert "no-such-profile" in error_message(capsys)


def test_an_aws_error_exits_with_1_and_one_line(deployed: dict[str, str], capsys: Any) -> None:
    aws_client("dynamodb").delete_table(TableName="tickets")

    assert main(["replay"], {"STACK": "pipeline"}) == 1

    assert "A call to AWS failed; no ticket was lost: " in error_message(capsys, output_before=ACTING)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_local_stack_that_does_not_answer_is_not_running(command: str, tmp_path: Path, capsys: Any) -> None:
    fields = dict.fromkeys(Stack.__dataclass_fields__, "here")
    stack = Stack(**fields | {"endpoint_url": "http://127.0.0.1:9", "region": "us-east-1"})
    stack.save(tmp_path)

    assert main([command], options(command) | {"STACK_DIR": str(tmp_path)}) == 2

    assert error_message(capsys).startswith("No local stack is running. Start one with `make run`")


def test_a_missing_region_or_missing_credentials_are_reported(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert main(["replay"], {"STACK": "pipeline"}) == 2
    assert error_message(capsys).startswith("AWS credentials are missing: ")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert main(["replay"], {"STACK": "pipeline"}) == 2
    assert error_message(capsys).startswith("No AWS region is set: ")


def test_an_interrupted_command_exits_with_130(
    deployed: dict[str, str], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("ops.__main__.replay", interrupt)

    assert main(["replay"], {"STACK": "pipeline"}) == 130

    assert (
        error_message(capsys, output_before=ACTING) == "Stopped. Replayed tickets continue automatically.\n"
    )
