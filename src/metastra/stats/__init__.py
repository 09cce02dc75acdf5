"""Statistics that know no survival: resampling, intervals, pooling, agreement."""
