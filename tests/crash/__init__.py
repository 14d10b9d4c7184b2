"""Commands that are killed at random moments, started again until they are done, and compared with one left alone.

python -m tests.crash --kills 100 --seed 0
"""
