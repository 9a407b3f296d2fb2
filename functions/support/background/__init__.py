"""The functions that queues and schedules invoke."""
