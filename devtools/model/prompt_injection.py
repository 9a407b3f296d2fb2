"""A successful prompt injection: the model follows the instructions in the ticket, as the worst model would.

The pipeline's defences are tested against it. devtools.model.injected_instructions finds the instructions.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from devtools.model.converse import Answer, Backend, ConverseRequest, Json, answer_by_tool, tool_use
from devtools.model.injected_instructions import Instructions, find_instructions

_OPENING_TAG = re.compile(r"<ticket-[0-9a-f]+>")
_FORGED_TICKET = re.compile(r"</ticket[^>]*>\s*<ticket[^>]*>\s*(.+?)\s*(?:</ticket|$)", re.DOTALL)


async def follow_instructions(request: ConverseRequest, backend: Backend) -> Answer:
    """Return the backend's answer, changed as the ticket says; a forged second ticket replaces it."""
    answer = await backend.converse(_with_forged_ticket(request))
    instructions = find_instructions(request.user)
    if instructions == Instructions():
        return answer
    if instructions.answer_without_tool:
        text = _text_answer(instructions, request)
        return replace(answer, content=[{"text": text}], stop_reason="end_turn")
    changed = answer_by_tool(request, _tool_input(answer, instructions, request))
    others = [
        _other_tool_use(request, name, instructions.values)
        for name in instructions.tools
        if name != request.tool.name
    ]
    if not others:
        return changed
    return replace(changed, content=[*changed.content, *others] if instructions.keep_own_tool else others)


def _with_forged_ticket(request: ConverseRequest) -> ConverseRequest:
    tag, forged = _OPENING_TAG.search(request.user), _FORGED_TICKET.search(request.user)
    if not (tag and forged):
        return request
    return replace(request, user=f"{tag[0]}\n{forged[1]}\n</{tag[0][1:]}")


def _tool_input(answer: Answer, instructions: Instructions, request: ConverseRequest) -> Json:
    analysis: Json = next((block["toolUse"]["input"] for block in answer.content if "toolUse" in block), {})
    analysis |= {"confidence": 1} | instructions.values
    for field, text in instructions.insertions:
        if field == "tags":
            analysis[field] = [*analysis.get(field, []), text]
        else:
            analysis[field] = f"{analysis.get(field, '')} {text}"
    if secrets := _revealed(instructions, request):
        analysis["response"] = f"{analysis.get('response', '')}\n{secrets}"
    return analysis


def _text_answer(instructions: Instructions, request: ConverseRequest) -> str:
    texts = [*(text for _, text in instructions.insertions), _revealed(instructions, request)]
    return "\n".join(filter(None, texts)) or "As you wish."


def _revealed(instructions: Instructions, request: ConverseRequest) -> str:
    tag = _OPENING_TAG.search(request.user)
    return "\n".join(
        ([request.system] if instructions.reveal_prompt else [])
        + ([tag[0]] if instructions.reveal_delimiter and tag else [])
    )


def _other_tool_use(request: ConverseRequest, name: str, tool_input: Mapping[str, object]) -> Json:
    return tool_use(replace(request, tool=replace(request.tool, name=name)), dict(tool_input))
