"""The business rules: tickets, analyses, errors. Standard library only, no input or output."""
