"""A client for App Engine's REST API, of a real App Engine or of localrun.

connection  requests with constant memory, also for large files
client      the requests of the API, each with the server's answer
provisions  the requests that set the inputs of a run
results     the outputs of a run as a folder
upload      a bundle on the server, with the verdicts of localrun and of the server
comparison  what localrun and the server say about each step
run         a run on the server and on this machine
"""
