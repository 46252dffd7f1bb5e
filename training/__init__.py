"""Training and measuring of the demo checkpoint; not part of the installed package."""
