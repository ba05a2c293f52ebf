"""`netboot.yaml`: each setting with its type and its default."""
