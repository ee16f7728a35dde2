"""What an expert would write by hand instead, as good as we can make it."""
