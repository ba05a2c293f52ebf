"""The API: `/api/v1/…`, JSON."""
