"""What the defences buy and what they cost: see `__main__`."""
