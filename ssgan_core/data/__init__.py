"""Data sets, splits, labeled sets and loaders."""
