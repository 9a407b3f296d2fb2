"""The support pipeline's Lambda code: one import package, built once, used by every function."""
