"""The web pages: HTML of what `operate` returns, and forms that request changes."""
