//! The servers on the LAN: iPXE boot server, container registry, certificates.
