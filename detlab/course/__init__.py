"""A learner's way through the lessons."""
