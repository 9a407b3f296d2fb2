"""Load on a local stack of its own: overload has to be latency, not failure."""
