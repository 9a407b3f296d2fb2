"""The cost of a million tickets on AWS, by part, from measured quantities and list prices."""
