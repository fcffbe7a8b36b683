"""`mlkit lr-find`: range tests for learning rates."""
