"""A discrete-event simulation of the pipeline under load, with an outage of the model."""
