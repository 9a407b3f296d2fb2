"""Tools that the local stack and its tests run on. Each has its own tests beside it."""
