"""Repairs of what quantisation harms, measured where the integer graph runs."""
