"""`python -m evals.split FILE…`: write gold files as tickets.jsonl and held_out.jsonl in evals/gold.

A third of each category and language is held out: always the same tickets, whatever their order. Other files
give another split, so this is for a new gold set only.
"""

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from evals import gold
from evals.errors import UsageError

_HELD_OUT = 3


def main(files: Sequence[Path], folder: Path = gold.FOLDER) -> int:
    """Split the files; return the exit code."""
    try:
        chosen = held_out_ids(files)
        documents = [document for path in files for _, document in gold.read_lines(path)]
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    parts: dict[str, list[str]] = {gold.TICKETS: [], gold.HELD_OUT: []}
    for document in sorted(documents, key=lambda document: str(document["id"])):
        part = parts[gold.HELD_OUT if document["id"] in chosen else gold.TICKETS]
        part.append(json.dumps(document, ensure_ascii=False))
    for name, part in parts.items():
        (folder / name).write_text("\n".join(part) + "\n", "utf-8")
        sys.stdout.write(f"{name}: {len(part)} tickets\n")
    return 0


def held_out_ids(files: Sequence[Path]) -> set[str]:
    """The ids of the tickets to hold out. Raises UsageError: a file is invalid."""
    groups = defaultdict(list)
    for path in files:
        for example in gold.load(path).examples:
            groups[example.category, example.language].append(example.id)
    # Small groups, one after the other, also give a third: every third ticket over all groups.
    order = [
        name
        for key in sorted(groups, key=str)
        for name in sorted(groups[key], key=lambda name: hashlib.sha256(name.encode()).digest())
    ]
    return set(order[::_HELD_OUT])


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
