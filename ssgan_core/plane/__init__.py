"""Points in the plane: the toy in which a GAN can be watched."""
