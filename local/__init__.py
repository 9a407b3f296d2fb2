"""The local stack: the whole pipeline on one machine, on an AWS emulator, without an AWS account."""
