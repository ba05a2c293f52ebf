"""Administrators' HTTP: the API and uploads. Imports nothing of `serve`."""
