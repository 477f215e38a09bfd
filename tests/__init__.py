"""A package: as a folder on pytest's path, its ``flows`` would stand in for the program's."""
