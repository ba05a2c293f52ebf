"""Routes that send files which are made for a request."""
