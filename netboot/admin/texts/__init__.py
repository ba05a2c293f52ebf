"""Describes what the API shows for a person: the same sentences in commands and pages. No HTML, no terminal."""
