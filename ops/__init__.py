"""The operators' commands, for local and deployed stacks: replay, ticket, sweep and others."""
