"""Who may use the administration: roles, what a request needs, and the rule that decides."""
