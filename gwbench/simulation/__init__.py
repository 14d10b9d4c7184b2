"""Simulated strain: populations, waveforms, noise and glitches."""
