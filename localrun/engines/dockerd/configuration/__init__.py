"""What docker's own settings and files say: which engine, which credentials, which proxies."""
