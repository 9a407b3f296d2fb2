"""The backend that needs no model: it unwraps the ticket and lets the rules triage it."""

import re
from dataclasses import asdict, fields

from devtools.model.converse import Answer, ConverseRequest, answer_by_tool, invalid
from devtools.model.triage import Analysis, Triage

_OPENING = re.compile(r"<ticket-([0-9a-f]+)>\n")
_SUBJECT = re.compile(r"Subject: ([^\n]*)\n\n")


class RulesBackend:
    """Answers by rules, at once and always alike; its token counts are estimates."""

    name = "rules"

    def __init__(self) -> None:
        self._triage = Triage()

    async def converse(self, request: ConverseRequest) -> Answer:
        """Return the analysis of the ticket as the tool's input; the system prompt is not read."""
        _check_tool(request)
        subject, content = unwrap(request.user)
        return answer_by_tool(request, asdict(self._triage.analyse(subject, content)))


def unwrap(text: str) -> tuple[str, str]:
    """Return the subject ("" if there is none) and the content of the ticket in its delimited block.

    The first opening tag is the caller's, and only a closing tag with its nonce ends the block: whatever
    tags the customer wrote are content.
    """
    opening = _OPENING.search(text)
    end = text.rfind(f"\n</ticket-{opening[1]}>") if opening else -1
    if opening is None or end < 0:
        raise invalid(
            "The rules expect the ticket between <ticket-NONCE> and </ticket-NONCE>, on lines of their own."
        )
    ticket = text[opening.end() : end]
    if subject := _SUBJECT.match(ticket):
        return subject[1], ticket[subject.end() :]
    return "", ticket


def _check_tool(request: ConverseRequest) -> None:
    given = {field.name for field in fields(Analysis)}
    required = request.tool.schema.get("required")
    unknown = sorted(set(map(str, required)) - given) if isinstance(required, list) else []
    if unknown:
        raise invalid(
            f"The rules cannot fill {', '.join(unknown)} of the tool {request.tool.name!r}: "
            f"they know {', '.join(sorted(given))}."
        )
