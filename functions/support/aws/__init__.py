"""The only place that touches AWS."""
