"""Users, API tokens and logins: who may use the administration beyond the control socket."""
