"""Estimates of the tokens of the prompt, the tool and an answer, because Nova's tokenizer is not public.

They count characters. The ratios come from 25 Converse calls of Nova Micro, Lite and Pro that two open
projects have recorded with the `usage` that AWS reported: pydantic/pydantic-ai (`tests/**/cassettes`) and
open-telemetry/opentelemetry-python-contrib (`cassettes` of its botocore instrumentation), November 2026.

- Prose: 4.1 to 5.2 characters per token, 4.8 in the models' longer answers. OpenAI's o200k_base counts the
  same texts within 5 %; it counts 4.4 characters per token in our instructions.
- Schemas: with tools of 237, 255 and 780 characters, 394, 413 and 554 tokens more than without. So Nova
  adds about 335 tokens of its own instructions as soon as there is a tool, and schemas cost 1.05 times what
  o200k_base counts. For ours that is 3.2 characters per token.
- Answers: a tool call costs 9 to 12 tokens more than its arguments.

The estimates are good to about 10 %. AWS's own figures are the metrics InputTokens and OutputTokens.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.results import Measurements
from local.settings import PROJECT
from support.domain.analysis_schema import TOOL_SCHEMA
from support.domain.prompt import INSTRUCTIONS, ticket_block
from support.domain.ticket import Ticket

# Characters per token.
_TEXT, _PROSE, _JSON = 4.4, 4.8, 3.2
_TOOL_USE_INSTRUCTIONS = 335
_TOOL_CALL = 10
_ANSWER = Path(__file__).with_name("answer.json")


def measure() -> Measurements:
    """Estimate the tokens of one call.

    - `tokens.input`: our instructions and our tool, without the ticket.
    - `tokens.toolUse`: what Nova adds because there is a tool.
    - `tokens.ticket`: a short ticket (events/classify/billing.json).
    - `tokens.output`: an answer with a reply of 80 words, the most that the schema asks for.
    """
    event = json.loads((PROJECT / "events" / "classify" / "billing.json").read_text())
    ticket = ticket_block(Ticket.from_document(event["ticket"]))
    # As in the request to Converse.
    tool = {"name": "record_analysis", "inputSchema": {"json": TOOL_SCHEMA}}
    return {
        "tokens.input": [len(INSTRUCTIONS) / _TEXT + len(json.dumps(tool)) / _JSON],
        "tokens.toolUse": [_TOOL_USE_INSTRUCTIONS],
        "tokens.ticket": [len(ticket) / _PROSE],
        "tokens.output": [_output(json.loads(_ANSWER.read_text()))],
    }


def _output(answer: Mapping[str, Any]) -> float:
    prose = len(answer["summary"]) + len(answer["response"])
    return _TOOL_CALL + prose / _PROSE + (len(json.dumps(answer)) - prose) / _JSON
