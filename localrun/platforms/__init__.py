"""What App Engine, iExec, Inductiva and the Task System do differently."""
