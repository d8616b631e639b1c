"""Signals: channels over time, of equal or unequal length."""
