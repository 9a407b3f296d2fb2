"""The console in a browser, used as its users do."""

import re

from playwright.sync_api import Locator, Page, expect

ADMIN, AGENT, CUSTOMER = "admin@example.com", "agent@example.com", "customer@example.com"
# An execution takes a few seconds on an idle machine.
EXECUTION_MS = 45_000


def sign_in(page: Page, user: str = AGENT) -> None:
    """Sign in as a demo user."""
    page.goto("/console/")
    page.get_by_role("button", name=user).click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def submit(page: Page, content: str, subject: str = "") -> str:
    """Submit a ticket as an agent, which leads to its execution; return its id."""
    page.goto("/console/new-ticket")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Message").fill(content)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile("/console/executions/"))
    found = re.search("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", page.url)
    assert found, page.url
    return found[0]


def expect_execution(page: Page, status: str) -> None:
    """Wait until the open execution has this status."""
    expect(page.locator("#execution")).to_have_attribute("data-status", status, timeout=EXECUTION_MS)


def expect_ticket(page: Page, status: str) -> None:
    """Wait until the open ticket has this status."""
    expect(page.locator("#ticket")).to_have_attribute("data-status", status, timeout=EXECUTION_MS)


def state(page: Page, name: str) -> Locator:
    """A state in the graph."""
    return page.locator(f'[data-state="{name}"]')


def expect_results(page: Page, **results: list[str]) -> None:
    """Expect the states of the graph to have these results: `caught=["Classify Ticket"]`."""
    for result, names in results.items():
        for name in names:
            expect(state(page, name)).to_have_attribute("data-result", result)
