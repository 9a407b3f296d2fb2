"""What needs only the built functions: cold starts, warm calls, the artifact's size, the model's tokens."""
