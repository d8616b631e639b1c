"""Images: the reference domain."""
