"""The embedded AWS: `ministack`, extended to behave like AWS where this product needs it."""
