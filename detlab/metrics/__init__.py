"""How good a detector is, and what kinds of error it makes."""
