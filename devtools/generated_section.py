"""A section of a guide that a program writes, between two marker lines."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GeneratedSection:
    """The file and the lines that begin and end the section, each with its line break."""

    file: Path
    begin: str
    end: str

    def around(self, guide: str) -> tuple[str, str]:
        """The parts of the guide's text before and after the section, each with its marker.

        Raises:
            ValueError: a marker is missing.
        """
        before, begin, rest = guide.partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not begin or not end:
            lines = f"{self.begin!r} and {self.end!r}"
            raise ValueError(f"docs/{self.file.name} must have the two lines {lines}.")
        return f"{before}{begin}\n", f"\n{end}{after}"
