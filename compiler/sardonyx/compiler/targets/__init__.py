"""What each target accepts and prefers, as data."""
