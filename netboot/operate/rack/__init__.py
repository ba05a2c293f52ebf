"""All hosts at once, as the first page and its export show them."""
