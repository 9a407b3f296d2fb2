"""Proof that overload is latency, not failure, by load on a local stack."""
