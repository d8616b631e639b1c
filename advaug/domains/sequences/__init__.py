"""Sequences: texts and lists of tokens, which move by edits."""
