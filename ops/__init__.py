"""The operators' commands, for local and deployed stacks: replay, recover, dismiss, rollback, verify."""
