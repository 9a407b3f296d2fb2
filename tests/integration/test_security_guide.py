"""The commands of docs/security.md, typed on the local stack as the guide has them."""

import json
import re
import subprocess
from pathlib import Path

from tests.helpers.running_stack import RunningStack

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs" / "security.md").read_text()


def test_the_guides_commands_create_an_agent_and_a_service_client_who_can_call_the_api(
    stack: RunningStack,
) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    script = "\n".join([f". {stack.folder}/aws.env", *blocks])
    # People type their address in any case.
    script = script.replace("USERNAME=new-agent@example.com", "USERNAME=New-Agent@Example.com")

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert '"tickets"' in done.stdout
    submitted = json.loads(done.stdout.splitlines()[-1])
    ticket = stack.outcome(submitted["ticketId"], token=stack.token("agent-token"))
    assert (ticket["customerId"], ticket["channel"]) == ("customer-4711", "service")
