"""A model that obeys: it does what the ticket's text tells it to, as the worst of models would.

What protects the pipeline has to hold against it. The orders are found in whatever the ticket says; see
devtools.model.orders for what is understood as one.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from devtools.model.converse import Answer, Backend, ConverseRequest, Json, answer_by_tool, tool_use
from devtools.model.orders import Orders, find_orders

_OPENING = re.compile(r"<ticket-[0-9a-f]+>")
_FORGED = re.compile(r"</ticket[^>]*>\s*<ticket[^>]*>\s*(.+?)\s*(?:</ticket|$)", re.DOTALL)


async def obey(request: ConverseRequest, backend: Backend) -> Answer:
    """Return the backend's answer, changed as the ticket orders; a forged second ticket is read instead."""
    honest = await backend.converse(_with_forged_ticket(request))
    orders = find_orders(request.user)
    if orders == Orders():
        return honest
    if orders.without_tool:
        return replace(honest, content=[{"text": _words(orders, request)}], stop_reason="end_turn")
    answer = answer_by_tool(request, _obedient(honest, orders, request))
    others = [_call_of(request, name, orders.values) for name in orders.tools if name != request.tool.name]
    if not others:
        return answer
    return replace(answer, content=[*answer.content, *others] if orders.also else others)


def _with_forged_ticket(request: ConverseRequest) -> ConverseRequest:
    tag, forged = _OPENING.search(request.user), _FORGED.search(request.user)
    if not (tag and forged):
        return request
    return replace(request, user=f"{tag[0]}\n{forged[1]}\n</{tag[0][1:]}")


def _obedient(honest: Answer, orders: Orders, request: ConverseRequest) -> Json:
    analysis: Json = next((block["toolUse"]["input"] for block in honest.content if "toolUse" in block), {})
    analysis |= {"confidence": 1} | orders.values
    for field, said in orders.said:
        if field == "tags":
            analysis[field] = [*analysis.get(field, []), said]
        else:
            analysis[field] = f"{analysis.get(field, '')} {said}"
    if shown := _shown(orders, request):
        analysis["response"] = f"{analysis.get('response', '')}\n{shown}"
    return analysis


def _words(orders: Orders, request: ConverseRequest) -> str:
    words = [*(said for _, said in orders.said), _shown(orders, request)]
    return "\n".join(filter(None, words)) or "As you wish."


def _shown(orders: Orders, request: ConverseRequest) -> str:
    tag = _OPENING.search(request.user)
    return "\n".join(
        ([request.system] if orders.show_prompt else []) + ([tag[0]] if orders.show_tag and tag else [])
    )


def _call_of(request: ConverseRequest, name: str, tool_input: Mapping[str, object]) -> Json:
    return tool_use(replace(request, tool=replace(request.tool, name=name)), dict(tool_input))
