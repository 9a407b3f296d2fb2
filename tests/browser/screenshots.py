"""`python -m tests.browser.screenshots`: draw the console's pages with a few tickets, for the README."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.browser import chromium
from tests.browser.console import ADMIN, expect_execution, expect_ticket, sign_in, state
from tests.helpers.running_stack import PROJECT, RunningStack

_IMAGES = PROJECT / "docs" / "images"
_DESKTOP: ViewportSize = {"width": 1280, "height": 900}
_PHONE: ViewportSize = {"width": 390, "height": 844}
_TICKETS = {
    "Double charge": "I was charged twice for my subscription this month. Please refund one of the payments.",
    "Cannot sign in": "I cannot log in since this morning, and the link to reset my password has expired.",
    "Export crashes": "The export crashes with an error whenever the report has more than 1000 rows.",
    "Colleague": "How do I add a colleague to my workspace? I could not find it in the documentation.",
    "¿Dónde está mi pedido?": "Mi pedido todavía no ha llegado y el seguimiento no dice nada desde el lunes.",
    "Facture fausse": "Bonjour, ma facture de mai est fausse : j'ai été prélevé deux fois.",
    "Data loss": "URGENT: all our data is gone since the update, and the whole team cannot work!",
}


def main() -> None:
    """Write a PNG of each page to docs/images."""
    _IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningStack(Path(folder) / "local") as stack,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium.find(playwright)) as browser,
        browser.new_context(base_url=stack.wait_until_healthy().url, viewport=_DESKTOP) as context,
    ):
        processed, failed = _submit_tickets(stack)
        page = context.new_page()
        sign_in(page, ADMIN)
        for path, name in (("overview", "overview"), ("tickets", "inbox")):
            page.goto(f"/console/{path}")
            _draw(page, name)
        page.goto("/console/executions")
        page.locator(f'[data-execution="{failed}"][data-status=failed]').wait_for()
        _draw(page, "executions")
        page.goto(f"/console/tickets/{processed}")
        expect_ticket(page, "PROCESSED")
        _draw(page, "ticket")
        page.goto(f"/console/executions/{failed}")
        expect_execution(page, "failed")
        state(page, "Classify Ticket").click()
        _draw(page, "execution")
        page.set_viewport_size(_PHONE)
        _draw(page, "phone")


def _submit_tickets(stack: RunningStack) -> tuple[str, str]:
    """Submit tickets, and wait for their outcome; the first is processed and the last fails."""
    tickets = [{"subject": subject, "content": content} for subject, content in _TICKETS.items()]
    ids = [stack.submit(ticket) for ticket in tickets]
    for ticket_id in ids:
        stack.outcome(ticket_id)
    stack.fail_model(deny=1)
    failed = stack.submit(tickets[0])
    stack.outcome(failed)
    return ids[0], failed


def _draw(page: Page, name: str) -> None:
    page.screenshot(path=_IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
