"""The HTTP contract and the step that writes it."""
