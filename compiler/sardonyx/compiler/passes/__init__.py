"""Passes: each changes a model in one way, through the editor."""
