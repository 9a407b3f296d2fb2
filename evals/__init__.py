"""Measures the triage on labelled tickets: `make eval`. docs/evals.md explains the report."""
