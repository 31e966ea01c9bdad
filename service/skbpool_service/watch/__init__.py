"""What happens to pools and their holders, noticed and told to those who watch."""
