"""Proof that no accepted ticket is lost, by load and faults on a local stack."""
