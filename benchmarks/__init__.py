"""What the pipeline takes: time, memory, tokens and money, measured by `make bench`."""
