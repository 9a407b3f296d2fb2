"""The operators' command line: replays failed tickets, recovers lost ones; local or in a real account."""
