"""The wings: each domain fills the core's protocols and does not know the others."""
