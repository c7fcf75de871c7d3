"""Engines that run a program, from the golden model to the netlist."""
