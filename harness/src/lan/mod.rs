//! The virtual LAN: switch, DHCP, DNS, NTP, TCP hosts.
