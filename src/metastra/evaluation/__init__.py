"""The judge: from risks and outcomes to discrimination, calibration and utility; no torch."""
