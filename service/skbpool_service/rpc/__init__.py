"""The gRPC side: one module a service, on handlers that see raw bytes."""
