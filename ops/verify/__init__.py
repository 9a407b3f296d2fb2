"""The first-deployment check: whether a stack does on AWS what it does in the tests."""
