"""The semi-supervised GAN of cats and dogs."""
