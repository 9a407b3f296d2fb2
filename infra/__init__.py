"""What is deployed besides template.yaml: its parts, and the network."""
