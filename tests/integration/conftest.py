"""One local stack for all integration tests of a process."""

from collections.abc import Iterator

import pytest

from local.processes import wait_for
from tests.helpers.running_stack import RunningStack


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The healthy stack."""
    with RunningStack(tmp_path_factory.mktemp("stack") / "local") as stack:
        yield stack.wait_until_healthy()


@pytest.fixture
def stack(running: RunningStack) -> Iterator[RunningStack]:
    """The idle stack, with a working model and empty queues."""
    running.fail_model()
    assert wait_for(running.is_idle, 60), "tickets of an earlier test are still being processed"
    running.messages(running.stack.inbox_queue_url)
    running.messages(running.stack.failed_tickets_queue_url)
    yield running
    running.fail_model()
