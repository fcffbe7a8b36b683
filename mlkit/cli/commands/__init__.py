"""The commands: one module or one folder per family; each module parses its options and prints results."""
