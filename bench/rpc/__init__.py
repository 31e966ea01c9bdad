"""What `bench/over_grpc.py` is made of: frames, a client, the two servers, rows."""
