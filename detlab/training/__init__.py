"""A detector learns: batches, steps, runs."""
