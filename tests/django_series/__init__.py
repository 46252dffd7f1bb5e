"""A Django app of the tests: models that derive from each other."""
