"""Templates: SQL in, template out."""
