"""Load and faults on a local stack: no accepted ticket is lost."""
