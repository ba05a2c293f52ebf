"""Values of the store that only the key file opens: tokens, hosts files, served documents, hashes of passwords."""
