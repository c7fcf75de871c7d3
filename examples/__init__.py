"""Example networks that ship with weft."""
