"""What a Converse request holds besides the texts and the tool: it differs by the model's family.

A field that a family does not take makes Bedrock refuse the call, so a family that is not listed gets none.
Greedy decoding is used where it is sure to be taken, because the same ticket should get the same analysis.

- Amazon Nova: greedy decoding, as its guide advises for tools.
- Anthropic Claude: no sampling parameters. Since 4.1 it refuses `temperature` together with `topP`, and since
  Opus 4.7 either of them.
- Mistral AI: takes `toolChoice.any`, but not `tool`, which names one.
- Others, such as Meta Llama: do not take `toolChoice`; the instructions ask for the tool.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html and the models'
cards in the Amazon Bedrock user guide, read in November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Family:
    """`tool_choice` is `tool`, `any`, or nothing; the others are Converse's fields of the same names."""

    tool_choice: str = ""
    inference_config: Mapping[str, float] = field(default_factory=dict)
    additional_fields: Mapping[str, Any] = field(default_factory=dict)

    def request(self, *, max_tokens: int, tool: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of Converse that depend on the family; `tool` is a ToolSpecification."""
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
    """The family of a model, by its id, its inference profile's id, or an ARN that holds either."""
    return next((family for name, family in FAMILIES.items() if name in model_id), OTHERS)
