"""Attacks that edit tokens."""
