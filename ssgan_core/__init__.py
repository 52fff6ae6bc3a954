"""A small package for semi-supervised learning with generative adversarial networks."""

__version__ = "0.1.0"
