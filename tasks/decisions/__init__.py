"""Questions asked between runs; each fills a table of its own."""
