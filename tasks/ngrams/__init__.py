"""From templates to counted n-grams."""
