"""The words in prompt.txt: what the model is told about every ticket."""

from importlib.resources import files

INSTRUCTIONS = files("support.domain").joinpath("prompt.txt").read_text("utf-8").strip()
