"""OCI images and the archives that `skopeo copy` writes."""
