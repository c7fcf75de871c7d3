"""The commands, one function each: what the command line and `import weft` offer."""
