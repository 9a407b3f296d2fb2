"""What chaos and storm share: the tickets they send, and how they look at the pipeline."""
