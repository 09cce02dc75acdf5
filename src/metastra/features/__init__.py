"""Feature bags of slides: stored, memory-mapped, and exchanged with the field's other programs.

A bag is a matrix of features, a corner in level-0 pixels for each row, and the frame that says what
a pixel measures.  This package knows no slide and no encoder, only their digests.
"""
