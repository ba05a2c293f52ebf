"""The certificate of the administration: read, verified and renewed; the certificate authority that can issue it."""
