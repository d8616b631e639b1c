"""Seeds in, accepted rows out: recipes, batches, judges and retraction."""
