"""The web console: executions, tickets and numbers of a stack in a browser, local or on AWS."""
