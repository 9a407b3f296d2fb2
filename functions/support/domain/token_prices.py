"""The price of a model call."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """USD per million input tokens and per million output tokens."""

    input: float
    output: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """The prices in a text such as `0.06,0.24`. Raises ValueError."""
        input_price, output_price = map(float, text.split(","))
        return cls(input_price, output_price)

    def cost(self, *, input_tokens: int, output_tokens: int) -> float:
        """The price of a call in USD, at list price: without discounts and guardrails."""
        return (input_tokens * self.input + output_tokens * self.output) / 1_000_000
