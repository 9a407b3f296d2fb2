"""The tasks of the state machine, one module each."""
