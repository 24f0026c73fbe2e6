"""Build a bundle into a zip file or folder for App Engine."""
