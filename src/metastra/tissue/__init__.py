"""What is measured on tissue itself: mask, artefacts, stain."""
