"""One weight matrix on its tiles: recipe, partition, mapping, converters, wires, programming, reading."""
