"""Networks over bags of tiles: tensors in, tensors out.  The one package that needs torch.

Several models of one shape, the *members*, are trained side by side: they share the tiles of a
step, and each has weights, patients and a loss of its own.  Nothing here knows a file or a bundle.
"""
