"""The judge: is a moved row still what its label says? Asked of what is shipped."""

from advaug.validity.judge import Bench, Judge, Verdict

__all__ = ["Bench", "Judge", "Verdict"]
