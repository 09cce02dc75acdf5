"""An installation without a network: `make wheelhouse` (see docs/how-to/install-offline.md)."""
