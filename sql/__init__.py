"""Every SQL statement of the program, one question a file; ``tasks.sqlfiles`` runs them."""
