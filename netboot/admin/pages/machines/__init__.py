"""The pages of machines that requested a boot and are not registered, and their approval."""
