"""Commands on tables: boost, bag, stack, and what belongs around them."""
