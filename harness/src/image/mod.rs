//! The disk image: partition table, file systems, EFI variables, `config.txt`, provisioning.
