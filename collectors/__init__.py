"""What runs in the training process: the run, its journal, its samplers. Imports nothing of ours and no numpy."""
