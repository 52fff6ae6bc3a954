"""Drawn pets: data that the package makes."""
