"""The parameters of a Converse request that depend on the model's family.

Bedrock rejects a call with a field that the family does not support, so unlisted families get none. Greedy
decoding is used where it is supported: the same ticket should get the same analysis.

- Amazon Nova: greedy decoding, which its guide recommends for tools.
- Anthropic Claude: no sampling parameters. Since 4.1 it rejects `temperature` together with `topP`, and since
  Opus 4.7 either of them.
- Mistral AI: supports `toolChoice.any` but not `toolChoice.tool`.
- Others, such as Meta Llama: do not support `toolChoice`; the instructions ask for the tool.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html and the models'
cards in the Amazon Bedrock user guide, read in November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Family:
    """The parameters of one family; `tool_choice` is `tool`, `any` or empty."""

    tool_choice: str = ""
    inference_config: Mapping[str, float] = field(default_factory=dict)
    additional_fields: Mapping[str, Any] = field(default_factory=dict)

    def request(self, *, max_tokens: int, tool: Mapping[str, Any]) -> dict[str, Any]:
        """Converse's arguments for the family; `tool` is a ToolSpecification."""
        choices = {"tool": {"tool": {"name": tool["name"]}}, "any": {"any": {}}}
        choice = {"toolChoice": choices[self.tool_choice]} if self.tool_choice else {}
        additional = self.additional_fields
        return {
            "inferenceConfig": {"maxTokens": max_tokens, **self.inference_config},
            "toolConfig": {"tools": [{"toolSpec": tool}], **choice},
            **({"additionalModelRequestFields": additional} if additional else {}),
        }


FAMILIES = {
    "amazon.nova": Family(
        tool_choice="tool",
        inference_config={"temperature": 1, "topP": 1},
        additional_fields={"inferenceConfig": {"topK": 1}},
    ),
    "anthropic.claude": Family(tool_choice="tool"),
    "mistral.": Family(tool_choice="any", inference_config={"temperature": 0}),
}
OTHERS = Family()


def family_of(model_id: str) -> Family:
    """The family of a model, given its id, the id of its inference profile, or an ARN with either."""
    return next((family for name, family in FAMILIES.items() if name in model_id), OTHERS)
