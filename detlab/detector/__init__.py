"""What the lessons build: an image becomes a loss, an image becomes boxes."""
