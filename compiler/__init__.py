"""From a model file to a program: read, calibrate, quantize, lower, schedule."""
