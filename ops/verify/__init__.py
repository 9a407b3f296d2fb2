"""The first-deployment check: whether AWS behaves as the tests assume."""
