"""Rewrite rules: one semantic fusion per file."""
