"""From a function to a graph: which matrix products are stationary, what they are made of, how the rest runs."""
