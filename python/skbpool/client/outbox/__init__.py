"""What an Ingest stream that survives its connections has to remember: no threads, no sockets.

```text
 take(frames) ──► encoder ──► unsent ──► unacknowledged ──► tally
                  (linger)      ▲   next_request()  │  heard(response)
                                └── broken(error) ──┘
```
The two clients, with threads and with asyncio, move messages between this and the connection.
"""
