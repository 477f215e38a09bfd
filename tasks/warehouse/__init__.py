"""The files of a warehouse, on disk and on object stores, without any SQL."""
