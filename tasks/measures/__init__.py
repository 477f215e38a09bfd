"""From counts to numbers: divergences, intervals, ceilings. Every formula is defined here."""
