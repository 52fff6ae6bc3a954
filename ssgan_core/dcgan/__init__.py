"""The chapter on DCGAN."""
