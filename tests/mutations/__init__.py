"""The tests are tested: small errors put into weft one by one, each with a test that sees it."""
