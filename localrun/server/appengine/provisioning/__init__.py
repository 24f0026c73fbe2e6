"""Provisioning: values and files as App Engine checks them, written to the input folder of a run."""
