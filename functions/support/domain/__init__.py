"""What the pipeline is about: tickets, analyses, errors. Standard library only, no I/O."""
