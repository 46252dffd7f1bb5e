"""Stand-ins held to the same contract tests as the real parts, for our tests and for yours."""
