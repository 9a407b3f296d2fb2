"""The function that API Gateway calls for the ticket endpoints."""
