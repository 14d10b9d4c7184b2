"""Datasets: strain in three splits."""
