"""Hardware-aware training as experiments compare it: the training data, the techniques, and the chips that are read."""
