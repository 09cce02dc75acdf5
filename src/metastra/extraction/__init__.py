"""From a slide to its verified feature file: quality, grid, tiles, encoder, store."""
