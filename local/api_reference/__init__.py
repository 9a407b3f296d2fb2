"""The API's documentation for a browser."""
