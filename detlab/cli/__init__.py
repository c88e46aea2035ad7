"""All of it from the command line."""
