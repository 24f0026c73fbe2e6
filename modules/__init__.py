"""The names under which the Task System's guide imports what is now `localrun`."""
