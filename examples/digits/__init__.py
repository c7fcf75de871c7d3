"""A small CNN for scikit-learn's bundled handwritten digits."""
