"""Where trajectories come from: the policy's own samples, or demonstrations."""
