"""Pictures of what a fitted sampler has done; matplotlib is imported when one is drawn."""

from advaug.inspection.class_map import ClassMapDisplay
from advaug.inspection.margins import MarginDisplay

__all__ = ["ClassMapDisplay", "MarginDisplay"]
