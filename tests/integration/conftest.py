"""One local stack for all integration tests of a process."""

from collections.abc import Iterator

import pytest

from local.processes import wait_for
from tests.helpers.running_stack import RunningStack


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The stack, healthy."""
    with RunningStack(tmp_path_factory.mktemp("stack") / "local") as stack:
        yield stack.wait_until_healthy()


@pytest.fixture
def stack(running: RunningStack) -> Iterator[RunningStack]:
    """The stack at rest, with a model that works and with empty queues."""
    running.fail_model()
    assert wait_for(running.is_idle, 60), "an earlier test's tickets are still being worked on"
    running.messages(running.stack.inbox_queue_url)
    running.messages(running.stack.failed_tickets_queue_url)
    yield running
    running.fail_model()
