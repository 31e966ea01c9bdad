"""What Prometheus reads: figures of the core at each scrape, and calls as they end."""
