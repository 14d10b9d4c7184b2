"""Searches that know the waveforms: banks of templates, matched filtering, coincidence over detectors."""
