"""Rows that several appliances on one store write."""
