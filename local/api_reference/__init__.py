"""The API's documentation, to be read and tried in a browser."""
