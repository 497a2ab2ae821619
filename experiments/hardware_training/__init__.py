"""Hardware-aware training as experiments compare it: what is trained on, the techniques, and chips that are read."""
