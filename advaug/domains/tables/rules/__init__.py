"""Rules that rows keep: a small language, rule objects, callables, and rules mined from rows."""
