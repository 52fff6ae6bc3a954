"""Figures; they only read what training returns."""
