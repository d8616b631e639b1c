"""Is a new row still what its label says? Judges look at what is returned, after rounding."""
