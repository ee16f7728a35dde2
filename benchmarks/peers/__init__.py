"""What a person would write by hand instead."""
