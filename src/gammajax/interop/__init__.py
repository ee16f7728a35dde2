"""Bridges to other packages; each module imports its package when it is used."""
