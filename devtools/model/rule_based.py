"""The backend that needs no model: it analyses the ticket by rules."""

import re
from dataclasses import asdict, fields

from devtools.model.converse import Answer, ConverseRequest, answer_by_tool, invalid
from devtools.model.triage import Analysis, Triage

_OPENING_TAG = re.compile(r"<ticket-([0-9a-f]+)>\n")
_SUBJECT = re.compile(r"Subject: ([^\n]*)\n\n")


class RuleBasedBackend:
    """Answers at once, and always the same to the same ticket. Its token counts are estimates."""

    name = "rules"

    def __init__(self) -> None:
        self._triage = Triage()

    async def converse(self, request: ConverseRequest) -> Answer:
        """Return the analysis of the ticket as the tool's input. The system prompt is ignored."""
        _check_tool(request)
        subject, content = extract_ticket(request.user)
        return answer_by_tool(request, asdict(self._triage.analyse(subject, content)))


def extract_ticket(prompt: str) -> tuple[str, str]:
    """Return the subject, or "" if there is none, and the content of the ticket in its delimited block.

    The first opening tag is the caller's, and only a closing tag with its nonce ends the block: the customer
    wrote all other tags.
    """
    opening = _OPENING_TAG.search(prompt)
    end = prompt.rfind(f"\n</ticket-{opening[1]}>") if opening else -1
    if opening is None or end < 0:
        raise invalid(
            "The rules expect the ticket between <ticket-NONCE> and </ticket-NONCE>, on lines of their own."
        )
    ticket = prompt[opening.end() : end]
    if subject := _SUBJECT.match(ticket):
        return subject[1], ticket[subject.end() :]
    return "", ticket


def _check_tool(request: ConverseRequest) -> None:
    supported = {field.name for field in fields(Analysis)}
    required = request.tool.schema.get("required")
    unsupported = sorted(set(map(str, required)) - supported) if isinstance(required, list) else []
    if unsupported:
        raise invalid(
            f"The rules cannot fill {', '.join(unsupported)} of the tool {request.tool.name!r}: "
            f"they support {', '.join(sorted(supported))}."
        )
