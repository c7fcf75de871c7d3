"""The integer array in gateware: configuration, instruction set and hardware."""
