"""What `make chaos` and `make storm` share: customers, the view of a running pipeline, and the report."""
