"""AWS's list prices in USD, from prices.toml."""

import tomllib
from pathlib import Path
from typing import Any

PRICES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("prices.toml").read_text())


def model_cost(model_id: str, input_tokens: float, output_tokens: float) -> float | None:
    """The cost of tokens in USD; None if prices.toml does not have the model.

    `model_id` may also be the id or the ARN of one of the model's inference profiles.
    """
    for name, price in PRICES["models"].items():
        if name in model_id:
            return float(input_tokens * price["input_token"] + output_tokens * price["output_token"])
    return None
