"""Folders and public sets become pictures with targets."""
