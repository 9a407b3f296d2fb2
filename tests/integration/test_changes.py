"""Agents change tickets on the running stack while customers give feedback."""

from tests.helpers.running_stack import RunningStack


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
