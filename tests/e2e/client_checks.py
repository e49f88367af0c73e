"""Every client that people use, asking one server."""

from forwarder_checks import dnsmasq_checks, resolved_checks
from language_checks import language_checks
from network import missing_tools
from program_checks import dig_checks, kdig_checks, resolv_conf_checks, small_client_checks


def client_checks(place, folder):
    if not missing_tools(["dig"]):
        dig_checks(place)
    if not missing_tools(["kdig"]):
        kdig_checks(place)
    if not missing_tools(["nslookup", "host"]):
        small_client_checks(place)
    resolv_conf_checks(place, folder)
    language_checks(place)
    dnsmasq_checks(place)
    resolved_checks(place, folder)
