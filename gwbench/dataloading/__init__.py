"""Conditioned windows on their way to a network: kept in memory or in files, read ahead."""
