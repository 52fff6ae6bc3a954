"""Figures that a reader moves, offline: the scripts, and how they get into a page."""
