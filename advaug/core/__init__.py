"""What every attack and every domain stands on; it does not know what a row means."""
