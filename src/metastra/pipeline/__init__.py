"""From a study file to its products: stages, what is stale and why, and the whole run."""
