"""Every SQL statement of the program, one question a file; ``tasks.base.run_sql`` runs them."""
