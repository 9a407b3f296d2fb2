"""A browser, and one local stack for all tests of a file."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect, sync_playwright

from tests.browser import chromium
from tests.helpers.running_stack import RunningStack

_DEADLINE_MS = 15_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The healthy stack."""
    with RunningStack(tmp_path_factory.mktemp("stack") / "local") as stack:
        yield stack.wait_until_healthy()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        path = chromium.find(playwright)
        assert path, "No Chromium was found: run `make chromium`."
        expect.set_options(timeout=_DEADLINE_MS)
        with playwright.chromium.launch(executable_path=path) as browser:
            yield browser


@pytest.fixture
def page(browser: Browser, running: RunningStack) -> Iterator[Page]:
    """A page in a new profile. No test may open a dialog, or cause an error in the page's scripts."""
    running.fail_model()
    problems: list[str] = []

    def note_error(message: ConsoleMessage) -> None:
        # Among them are scripts and styles that the policy refuses. Error responses are part of some tests.
        if message.type == "error" and "Failed to load resource" not in message.text:
            problems.append(message.text)

    def note_dialog(dialog: Dialog) -> None:
        problems.append(dialog.message)
        dialog.dismiss()

    with browser.new_context(base_url=running.url) as context:
        page = context.new_page()
        page.set_default_timeout(_DEADLINE_MS)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", note_error)
        page.on("dialog", note_dialog)
        yield page
    assert not problems
