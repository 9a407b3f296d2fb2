"""The embedded AWS: the emulator `ministack`, extended where it behaves differently from AWS."""
