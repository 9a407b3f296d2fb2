"""The commands of README.md and the guides, typed on the local stack as they stand there.

Every block of commands that is marked `sh` is typed, guide by guide, in a shell that has sourced aws.env.
Blocks that are marked `console` have placeholders, or need an AWS account.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.running_stack import RunningStack

PROJECT = Path(__file__).parents[2]
SECURITY = PROJECT / "docs" / "security.md"
GUIDES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLE_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
# Blocks with these commands are not typed here.
ELSEWHERE = {
    "make run": "the stack runs already",
    "make check": "it would run the tests within the tests",
    "make bench": "it takes a quarter of an hour",
    "make simulate": "it needs the figures of make bench, and takes minutes",
    "make deploy": "needs an AWS account",
    "USERNAME=$AGENT": "needs an agent's password; test_ops.py types it",
    "make rollback": "needs an earlier deployment; test_rollback.py types it",
}


class Shell:
    """A shell that stops at the first command that fails."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def type(self, commands: str) -> str:
        """Type commands; return what they print."""
        assert self._process.stdin
        assert self._process.stdout
        # No command may read the next ones from the shell's input.
        self._process.stdin.write(f"{{ {commands}\n}} </dev/null\nprintf '\\nEND\\n'\n")
        self._process.stdin.flush()
        lines = list[str]()
        while (line := self._process.stdout.readline()) != "END\n":
            lines.append(line)
            assert line, f"A command failed:\n{commands}\n{''.join(lines)}"
        return "".join(lines)


@contextmanager
def shell(stack: RunningStack) -> Iterator[Shell]:
    """A shell in the project's folder that has sourced the stack's aws.env."""
    environment = {name: value for name, value in stack.environment.items() if not name.startswith("MAKE")}
    with subprocess.Popen(
        ["bash", "-euo", "pipefail"],
        cwd=PROJECT,
        env=environment | {"DEADLINE": "60"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        shell = Shell(process)
        shell.type(f". {stack.folder}/aws.env")
        yield shell


def blocks(guide: Path) -> list[str]:
    """The guide's blocks of commands that are typed here."""
    return [block for block in BLOCK.findall(guide.read_text()) if not any(one in block for one in ELSEWHERE)]


def failed_ticket(stack: RunningStack) -> str:
    """A new ticket that has failed."""
    stack.fail_model(deny=1)
    ticket_id = stack.submit({"content": "I was charged twice."})
    assert stack.outcome(ticket_id)["status"] == "FAILED"
    stack.fail_model()
    return ticket_id


def on_this_stack(commands: str, stack: RunningStack) -> str:
    """The commands with the addresses, files and names of this stack, and the id of a failed ticket."""
    if EXAMPLE_ID.search(commands):
        commands = EXAMPLE_ID.sub(failed_ticket(stack), commands)
    return (
        commands.replace("http://localhost:3000", stack.url)
        .replace(".local/", f"{stack.folder}/")
        .replace("/support-pipeline/prod/", "/support-pipeline/local/")
        # People type their address in any case.
        .replace("USERNAME=new-agent@example.com", "USERNAME=New-Agent@Example.com")
    )


def type_guide(stack: RunningStack, guide: Path) -> str:
    """Type a guide's commands; return what the last block prints."""
    printed = ""
    with shell(stack) as user:
        if guide != SECURITY and "$(output " in guide.read_text():
            user.type(output_function())
        for block in blocks(guide):
            printed = user.type(on_this_stack(block, stack))
            assert "urn:support-pipeline:" not in printed, f"{block}\n{printed}"
    return printed


def output_function() -> str:
    """The shell function of docs/security.md that reads an output of the stack."""
    (function,) = re.findall(r"^output\(\) \{.*?; \}$", SECURITY.read_text(), re.MULTILINE | re.DOTALL)
    return str(function)


@pytest.mark.parametrize(
    "guide", [one for one in GUIDES if one != SECURITY and blocks(one)], ids=lambda guide: guide.name
)
def test_every_command_of_a_guide_works(stack: RunningStack, guide: Path) -> None:
    type_guide(stack, guide)


def test_the_security_guides_commands_create_a_service_client_that_can_submit_a_ticket(
    stack: RunningStack,
) -> None:
    (ticket_id,) = EXAMPLE_ID.findall(type_guide(stack, SECURITY))

    ticket = stack.outcome(ticket_id, token=stack.token("agent-token"))
    assert (ticket["customerId"], ticket["channel"]) == ("customer-4711", "service")
