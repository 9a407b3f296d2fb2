"""The steps that the state machine calls, one module each."""
