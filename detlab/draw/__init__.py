"""Boxes on figures."""
