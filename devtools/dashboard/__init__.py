"""Draws the dashboard of the template from the metrics of the local stack."""
