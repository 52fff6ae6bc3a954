"""Which photographs to label, and a page to label them on."""
