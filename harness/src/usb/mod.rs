//! The USB side of the board's network: usbredir and the NIC models.
