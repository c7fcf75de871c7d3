"""A board's top level in Verilator, with a serial line to the outside."""
