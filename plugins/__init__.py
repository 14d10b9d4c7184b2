"""The methods that ship with gwbench, one file each; installed as `gwbench.plugins`."""
