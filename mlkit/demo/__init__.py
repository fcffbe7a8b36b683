"""The demonstration: text that every machine has, and the commands to run on it."""
