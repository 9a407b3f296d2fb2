"""Agents change tickets and approve replies on the running stack, and customers see the replies."""

import json
from pathlib import Path
from typing import Any

from local.processes import wait_for
from tests.helpers.running_stack import RunningStack

# The model stand-in recognizes nothing in it, and so is unsure.
UNCLEAR = "It does not feel right."


def read(stack: RunningStack, ticket_id: str, role: str) -> dict[str, Any]:
    ticket: dict[str, Any] = stack.get(ticket_id, token=stack.token(role)).json()
    return ticket


def reply(stack: RunningStack, ticket_id: str, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {stack.token('agent-token')}"}
    return stack.http.post(f"/tickets/{ticket_id}/reply", json=body, headers=headers)


def test_a_confident_draft_reaches_the_customer_at_once(stack: RunningStack) -> None:
    ticket = stack.outcome(
        stack.submit({"content": "I was charged twice this month. Please refund one payment."})
    )
    draft = read(stack, ticket["ticketId"], "agent-token")["analysis"]

    assert not draft["needsReview"]
    assert ticket["reply"] == {"text": draft["response"], "origin": "model", "at": draft["generatedAt"]}
    assert "response" not in ticket["analysis"]


def test_a_draft_that_needs_review_reaches_the_customer_only_when_an_agent_approves_it(
    stack: RunningStack,
) -> None:
    ticket = stack.outcome(stack.submit({"content": UNCLEAR}))
    ticket_id = ticket["ticketId"]
    draft = read(stack, ticket_id, "agent-token")["analysis"]

    assert draft["needsReview"]
    assert "reply" not in ticket
    assert draft["response"] not in json.dumps(ticket)
    approved = reply(stack, ticket_id, version=ticket["version"])
    assert approved.status_code == 200, approved.text
    assert read(stack, ticket_id, "token")["reply"]["text"] == draft["response"]
    again = reply(stack, ticket_id, version=ticket["version"])
    assert (again.status_code, again.json()["type"]) == (409, "urn:support-pipeline:version-conflict")
    corrected = reply(stack, ticket_id, version=approved.json()["version"], text="Please tell us more.")
    assert corrected.json()["analysis"]["response"] == draft["response"]
    seen = read(stack, ticket_id, "token")["reply"]
    assert (seen["text"], seen["origin"], seen.keys()) == (
        "Please tell us more.",
        "agent",
        {"text", "origin", "at"},
    )


def test_a_replay_keeps_the_reply_to_a_ticket_that_had_failed(stack: RunningStack) -> None:
    stack.fail_model(deny=1.0)
    ticket = stack.outcome(stack.submit({"content": "I was charged twice this month."}))
    stack.fail_model()
    stack.failures()
    without_text = reply(stack, ticket["ticketId"], version=ticket["version"])
    replied = reply(stack, ticket["ticketId"], version=ticket["version"], text="We look into it.").json()
    admin = {"Authorization": f"Bearer {stack.token('admin-token')}"}

    assert stack.http.post(f"/tickets/{ticket['ticketId']}/replay", headers=admin).status_code == 202
    assert wait_for(lambda: "notifiedAt" in read(stack, ticket["ticketId"], "token"), 60)

    assert (without_text.status_code, without_text.json()["type"]) == (
        409,
        "urn:support-pipeline:not-analysed",
    )
    after = read(stack, ticket["ticketId"], "agent-token")
    assert (after["status"], after["reply"]) == ("PROCESSED", replied["reply"])


def test_lists_show_the_beginning_of_the_content(stack: RunningStack) -> None:
    content = "I was charged twice.\n" + "Please help. " * 20
    ticket_id = stack.submit({"content": content})
    stack.outcome(ticket_id)

    for role in ("token", "agent-token"):
        page = stack.http.get("/tickets", headers={"Authorization": f"Bearer {stack.token(role)}"}).json()
        (listed,) = [ticket for ticket in page["tickets"] if ticket["ticketId"] == ticket_id]
        assert listed["excerpt"] == content.replace("\n", " ")[:139] + "…"
        assert ("response" in listed["analysis"]) == (role == "agent-token")


def test_a_corrected_ticket_becomes_a_candidate_for_the_gold_set(stack: RunningStack, tmp_path: Path) -> None:
    ticket = stack.outcome(stack.submit({"content": "I was charged twice, call me at +1 202 555 0142."}))
    change = {"version": ticket["version"], "urgency": "CRITICAL", "category": "ORDER"}
    agent = {"Authorization": f"Bearer {stack.token('agent-token')}"}
    assert stack.http.patch(f"/tickets/{ticket['ticketId']}", json=change, headers=agent).status_code == 200

    done = stack.command("ops", "corrections", SAVE=str(tmp_path / "candidates.jsonl"))

    assert done.returncode == 0, done.stderr
    candidates = map(json.loads, (tmp_path / "candidates.jsonl").read_text().splitlines())
    (candidate,) = [one for one in candidates if one["id"] == ticket["ticketId"]]
    assert (candidate["urgency"], candidate["category"]) == ("CRITICAL", "ORDER")
    assert candidate["content"] == "I was charged twice, call me at [number]."


def test_feedback_between_an_agents_read_and_change_is_not_a_conflict(stack: RunningStack) -> None:
    ticket_id = stack.submit({"content": "I was charged twice this month."})
    stack.outcome(ticket_id)
    agent, customer = ({"Authorization": f"Bearer {stack.token(name)}"} for name in ("agent-token", "token"))

    feedback, changes = [], []
    for number in range(20):
        version = stack.http.get(f"/tickets/{ticket_id}", headers=agent).json()["version"]
        rating, change = {"rating": 1}, {"version": version, "assignee": f"agent-{number}"}
        feedback.append(stack.http.post(f"/tickets/{ticket_id}/feedback", json=rating, headers=customer))
        changes.append(stack.http.patch(f"/tickets/{ticket_id}", json=change, headers=agent))

    assert [answer.status_code for answer in feedback] == [201] + [200] * 19
    assert [answer.status_code for answer in changes] == [200] * 20
