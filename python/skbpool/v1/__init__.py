"""Generated messages and stubs of the package skbpool.v1; see proto/skbpool/v1."""
