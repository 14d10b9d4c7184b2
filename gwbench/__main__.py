"""`python -m gwbench`."""

from gwbench.cli.main import main

if __name__ == "__main__":
    main()
