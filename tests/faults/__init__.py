"""What a run leaves behind when something breaks, and what others see of it meanwhile."""
