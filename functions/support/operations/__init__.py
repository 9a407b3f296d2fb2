"""What operators and schedules call."""
