"""Training loops, one `train_step` per method."""
