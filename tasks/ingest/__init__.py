"""From a dump to queries."""
