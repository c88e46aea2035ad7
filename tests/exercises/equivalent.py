"""Changes that change nothing a case could show, with the reason: by exercise, then by change."""

EQUIVALENT = {}
