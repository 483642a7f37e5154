"""One module a step. Owns nothing else."""
