"""Actions on hosts from the pages: what a button shows, and the page that confirms it for one or many hosts."""
