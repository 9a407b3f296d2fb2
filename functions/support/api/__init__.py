"""The functions that API Gateway calls directly."""
