"""Networks; each classifier returns (logits, features)."""
