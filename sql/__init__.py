"""All SQL of the program, one question a file, run by ``tasks.base.run_sql``."""
