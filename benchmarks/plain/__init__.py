"""Models in plain torch, and what they are asked, for contestants that are given all else."""
