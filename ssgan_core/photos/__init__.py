"""Photographs and what reads them."""
