"""The proxies of `config.json`, which docker gives to builds and containers."""

from __future__ import annotations

from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.configuration.file import ConfigFile

# key of config.json -> variable, as docker's own command; docker-py does not know allProxy
_VARIABLES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}


def proxy_variables(config: ConfigFile, address: Address) -> dict[str, str]:
    """Return the variables in upper and lower case: those of the engine at `address`, or the default ones."""
    proxies = config.get("proxies", dict)
    key = address.url if address.url in proxies else "default"
    chosen = proxies.get(key)
    if chosen is None:
        return {}
    if not isinstance(chosen, dict):
        config.ignore(f"proxies.{key} must be an object")
        return {}
    found: dict[str, str] = {}
    for name, variable in _VARIABLES.items():
        value = chosen.get(name)
        if isinstance(value, str) and value:
            found |= {variable: value, variable.lower(): value}
        elif value:
            config.ignore(f"proxies.{key}.{name} must be a string")
    return found
