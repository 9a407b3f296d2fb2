"""The console of a running stack, as its users see it."""

from datetime import timedelta
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from devtools.load.logged_executions import copy_execution
from tests.browser.console import (
    ADMIN,
    AGENT,
    CUSTOMER,
    EXECUTION_MS,
    expect_execution,
    expect_results,
    expect_ticket,
    sign_in,
    state,
    submit,
)
from tests.helpers.running_stack import RunningStack

CHARGED_TWICE = "I was charged twice this month. Please refund one payment."
PHONE: ViewportSize = {"width": 360, "height": 740}
PAGES = ("overview", "executions", "tickets", "new-ticket", "mails")
PROCESSED = ["Store Ticket", "Already Processed?", "Classify Ticket", "Update Ticket", "Notify Support"]
# The longest time that the page may not react, on a busy machine.
FROZEN_MS = 2_000
# The longest time until the console has read 1,000 new executions.
READING_MS = 90_000
LONGEST_TASK_MS = """() => new Promise((resolve) => {
    let longest = 0;
    const note = (list) => list.getEntries().forEach(
        (task) => { longest = Math.max(longest, task.duration); });
    new PerformanceObserver(note).observe({ type: "longtask", buffered: true });
    setTimeout(() => resolve(longest), 200);
})"""
type Scheme = Literal["dark", "light"]


@pytest.fixture(scope="module")
def processed(running: RunningStack) -> str:
    """A ticket that is processed."""
    return _outcome(running, "Processed", status="PROCESSED")


@pytest.fixture(scope="module")
def failed(running: RunningStack) -> str:
    """A ticket that failed, because the model denied the call."""
    running.fail_model(deny=1)
    ticket_id = _outcome(running, "Failed", status="FAILED")
    running.fail_model()
    return ticket_id


def _outcome(running: RunningStack, subject: str, *, status: str) -> str:
    ticket_id = running.submit({"subject": subject, "content": CHARGED_TWICE})
    assert running.outcome(ticket_id)["status"] == status
    return ticket_id


# --- Executions ---


def test_a_submitted_ticket_turns_every_state_on_its_way_green(page: Page) -> None:
    sign_in(page)
    submit(page, CHARGED_TWICE)

    expect_execution(page, "notified")
    expect_results(page, succeeded=PROCESSED)
    expect_results(page, **{"not-reached": ["Record Failure", "Defer Ticket"]})


def test_a_denied_ticket_shows_the_caught_state_the_failure_path_and_the_error(page: Page) -> None:
    sign_in(page)
    page.goto("/console/new-ticket")
    page.get_by_role("button", name="Deny").click()
    expect(page.locator("[data-fault=deny]")).to_be_visible()

    submit(page, CHARGED_TWICE)

    expect_execution(page, "failed")
    expect_results(
        page,
        succeeded=["Store Ticket", "Record Failure", "Publish Failure"],
        caught=["Classify Ticket"],
        failed=["Ticket Failed"],
    )
    state(page, "Classify Ticket").click()
    details = page.get_by_role("article", name="Details of Classify Ticket")
    expect(details).to_contain_text("ModelRejected")
    expect(details).to_contain_text("AccessDeniedException")

    page.get_by_role("button", name="End the fault").click()
    expect(page.locator("[data-fault]")).to_have_count(0)


def test_a_retried_state_says_how_often(page: Page, running: RunningStack) -> None:
    running.fail_model(next={"throttle": 1})
    sign_in(page)
    submit(page, CHARGED_TWICE)

    expect_execution(page, "notified")
    expect(state(page, "Classify Ticket")).to_contain_text("succeeded, 1 retry")


def test_the_keyboard_reaches_the_details_of_a_state(page: Page, processed: str) -> None:
    sign_in(page)
    page.goto(f"/console/executions/{processed}")
    expect_execution(page, "notified")
    expect(state(page, "Store Ticket")).to_be_visible()

    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.state") == "Store Ticket":
            break
    page.keyboard.press("Enter")

    details = page.get_by_role("article", name="Details of Store Ticket")
    expect(details).to_be_visible()
    expect(details).to_contain_text(CHARGED_TWICE)


def test_executions_are_filtered_by_status_and_by_ticket(page: Page, processed: str, failed: str) -> None:
    sign_in(page)
    page.goto("/console/executions")
    row = {ticket_id: page.locator(f'[data-execution="{ticket_id}"]') for ticket_id in (processed, failed)}
    expect(row[processed]).to_have_attribute("data-status", "notified")
    expect(row[failed]).to_have_attribute("data-status", "failed")

    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    expect(row[failed]).to_be_visible()
    expect(row[processed]).to_have_count(0)

    page.get_by_label("Status").select_option("all")
    page.get_by_label("Ticket").fill(processed[:13])
    page.get_by_role("button", name="Filter").click()
    expect(row[processed]).to_be_visible()
    expect(page.locator("[data-execution]")).to_have_count(1)


def test_a_new_execution_appears_in_the_list_without_a_reload(page: Page, running: RunningStack) -> None:
    sign_in(page)
    page.goto("/console/executions")
    ticket_id = running.submit({"content": CHARGED_TWICE})
    row = page.locator(f'[data-execution="{ticket_id}"]')
    expect(row).to_have_attribute("data-status", "notified", timeout=EXECUTION_MS)


def test_a_thousand_executions_are_listed_without_a_frozen_page(
    page: Page, running: RunningStack, processed: str
) -> None:
    # The console may have read the log before: it expects late lines for two minutes.
    copies = copy_execution(running.stack, processed, 1_000, over=timedelta(seconds=10))
    sign_in(page)
    page.goto("/console/executions?status=notified")
    # Lines are read oldest first: now the console has read them all, which takes long on a busy machine.
    expect(page.locator(f'[data-execution="{copies[-1]}"]')).to_be_visible(timeout=READING_MS)
    assert page.evaluate(LONGEST_TASK_MS) < FROZEN_MS

    listed = _names(page)
    older = page.get_by_role("link", name="Older executions")
    while older.is_visible():
        page.goto(older.get_attribute("href") or "")
        listed += _names(page)
    assert set(copies) <= set(listed)
    assert len(listed) == len(set(listed))


def _names(page: Page) -> list[str]:
    rows = page.locator("[data-execution]")
    names: list[str] = rows.evaluate_all("rows => rows.map(row => row.dataset.execution)")
    return names


# --- Tickets ---


def test_a_failed_ticket_is_replayed_and_ends_processed(page: Page, running: RunningStack) -> None:
    running.fail_model(deny=1)
    ticket_id = _outcome(running, "To replay", status="FAILED")
    running.fail_model()
    sign_in(page, ADMIN)
    page.goto(f"/console/tickets/{ticket_id}")
    expect(page.locator("[data-failure]")).to_contain_text("ModelRejected")

    page.get_by_role("button", name="Replay").click()

    expect_ticket(page, "PROCESSED")
    history = page.locator("[data-list=history]")
    expect(history).to_contain_text("ModelRejected")
    expect(history).to_contain_text("PROCESSED")
    history.get_by_role("link", name=f"{ticket_id}-r").click()
    expect_execution(page, "notified")


def test_an_agent_sees_a_failure_and_may_not_replay_it(page: Page, failed: str) -> None:
    sign_in(page, AGENT)
    page.goto(f"/console/tickets/{failed}")
    expect(page.locator("[data-failure]")).to_contain_text("ModelRejected")
    expect(page.get_by_role("button", name="Replay")).to_have_count(0)


def test_tickets_are_filtered_by_status(page: Page, processed: str, failed: str) -> None:
    sign_in(page)
    page.goto("/console/tickets")
    page.get_by_label("Status").select_option("FAILED")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(f'[data-ticket="{failed}"]')).to_be_visible()
    expect(page.locator(f'[data-ticket="{processed}"]')).to_have_count(0)


def test_a_corrected_urgency_stands_beside_that_of_the_model(page: Page, running: RunningStack) -> None:
    ticket_id = _outcome(running, "To correct", status="PROCESSED")
    sign_in(page)
    page.goto(f"/console/tickets/{ticket_id}")
    urgency = page.locator("[data-field=urgency]")
    by_model = urgency.locator("b").inner_text()
    assert by_model != "CRITICAL"

    urgency.get_by_label("Urgency").select_option("CRITICAL")
    urgency.get_by_role("button", name="Correct").click()

    expect(urgency.locator("b")).to_have_text("CRITICAL")
    expect(urgency.locator("[data-model]")).to_contain_text(by_model)


def test_a_ticket_of_html_and_scripts_is_shown_as_text(page: Page) -> None:
    hostile = "</div><script>alert(1)</script><img src=x onerror=alert(2) id=injected> {{ 7 * 7 }} \"'&amp;"
    sign_in(page)
    ticket_id = submit(page, f"Refund: {hostile}", subject=hostile)
    expect_execution(page, "notified")
    state(page, "Store Ticket").click()
    expect(page.get_by_role("article", name="Details of Store Ticket")).to_contain_text("onerror=alert(2)")
    expect(page.locator("#injected")).to_have_count(0)

    page.goto(f"/console/tickets/{ticket_id}")
    expect(page.locator("[data-content]")).to_have_text(f"Refund: {hostile}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(hostile)
    expect(page.locator("#injected")).to_have_count(0)

    page.goto("/console/tickets")
    expect(page.locator(f'[data-ticket="{ticket_id}"]')).to_contain_text(hostile)
    expect(page.locator("#injected")).to_have_count(0)


# --- Who sees what ---


def test_without_a_session_every_page_leads_to_the_sign_in(page: Page, processed: str) -> None:
    for path in ("", *PAGES, f"executions/{processed}", f"tickets/{processed}"):
        page.goto(f"/console/{path}")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(page.get_by_text(processed)).to_have_count(0)


def test_after_the_sign_out_the_back_button_shows_nothing(page: Page, processed: str) -> None:
    sign_in(page)
    page.goto(f"/console/tickets/{processed}")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    page.go_back()
    expect(page.get_by_text(CHARGED_TWICE)).to_have_count(0)


def test_a_customer_sees_own_tickets_and_no_executions(
    page: Page, running: RunningStack, processed: str
) -> None:
    other = running.post({"content": CHARGED_TWICE}, token=running.new_customer()).json()["ticketId"]
    sign_in(page, CUSTOMER)
    page.goto("/console/tickets")
    expect(page.locator(f'[data-ticket="{processed}"]')).to_be_visible()
    expect(page.locator(f'[data-ticket="{other}"]')).to_have_count(0)

    for path in ("executions", f"executions/{processed}", "overview", "mails"):
        page.goto(f"/console/{path}")
        expect(page.get_by_role("alert")).to_contain_text("Only agents and admins")


# --- Looks ---


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_pages_follow_the_system_and_fit_a_phone(
    page: Page, scheme: Scheme, processed: str, failed: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(PHONE)
    sign_in(page)
    for path in (*PAGES, f"executions/{failed}", f"tickets/{processed}"):
        page.goto(f"/console/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        assert _is_dark(page) == (scheme == "dark"), path


def _is_dark(page: Page) -> bool:
    color: list[float] = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number)"
    )
    return sum(color[:3]) / 3 < 128


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_pages_are_accessible(page: Page, scheme: Scheme, processed: str, failed: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/console/sign-in")
    violations = _violations(page)
    sign_in(page)
    for path in (*PAGES, f"executions/{failed}", f"tickets/{processed}"):
        page.goto(f"/console/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        violations += _violations(page)
    assert not violations


def _violations(page: Page) -> list[str]:
    """What axe-core finds on the page, with the first element of each."""
    found = Axe().run(page).response["violations"]
    return [f"{page.url}: {one['id']}: {one['nodes'][0]['html']}" for one in found]
