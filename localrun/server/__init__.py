"""The HTTP server: the API of the Task System's guide, over tasks that really run.

guard     who may ask: Host, Origin, token, size of the body
body      what was asked, checked
routes/   the answers
refusal   what went wrong, as a status and a `detail`
minutes   the lines about requests in the journal
hub       events of tasks, for those who wait and watch
"""
