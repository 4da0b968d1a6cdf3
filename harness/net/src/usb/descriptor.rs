//! What a device says it is: one table from which both the guest's descriptors and usbredir's announcements are made.
//!
//! Source: Universal Serial Bus Specification 2.0, section 9.6. One configuration, number 1, is enough for the adapters
//! modelled here; so is one alternate setting per interface.

use super::transfer::{Endpoint, Stall};

/// Descriptor types (table 9-5).
pub(super) mod kind {
    pub(in crate::usb) const DEVICE: u8 = 1;
    pub(in crate::usb) const CONFIGURATION: u8 = 2;
    pub(in crate::usb) const INTERFACE: u8 = 4;
    pub(in crate::usb) const ENDPOINT: u8 = 5;
}

/// The number of the only configuration.
pub const CONFIGURATION: u8 = 1;

/// A high-speed device with one configuration.
#[derive(Debug, Clone, Copy)]
pub struct Descriptors {
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
    /// `bcdDevice`.
    pub version_bcd: u16,
    /// `bDeviceClass`, `bDeviceSubClass`, `bDeviceProtocol`.
    pub class: [u8; 3],
    /// `bMaxPacketSize0`, in bytes.
    pub control_packet: u8,
    /// The configuration's `bmAttributes`.
    pub attributes: u8,
    /// `bMaxPower`, in units of 2 mA.
    pub max_power: u8,
    /// The interfaces; an interface's place in the list is its number.
    pub interfaces: &'static [Interface],
}

/// An interface with its only alternate setting.
#[derive(Debug, Clone, Copy)]
pub struct Interface {
    /// `bInterfaceClass`, `bInterfaceSubClass`, `bInterfaceProtocol`.
    pub class: [u8; 3],
    /// Its endpoints besides the control endpoint.
    pub endpoints: &'static [EndpointDescriptor],
}

/// An endpoint.
#[derive(Debug, Clone, Copy)]
pub struct EndpointDescriptor {
    /// `bEndpointAddress`.
    pub address: Endpoint,
    /// The transfer type.
    pub kind: EndpointKind,
    /// `wMaxPacketSize`, in bytes.
    pub max_packet: u16,
    /// `bInterval`.
    pub interval: u8,
}

/// Transfer types, with their values in `bmAttributes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointKind {
    /// Bulk.
    Bulk = 2,
    /// Interrupt.
    Interrupt = 3,
}

impl Descriptors {
    /// Every endpoint besides the control endpoint, with its interface's number.
    pub fn endpoints(&self) -> impl Iterator<Item = (u8, EndpointDescriptor)> {
        (0..)
            .zip(self.interfaces)
            .flat_map(|(number, interface)| interface.endpoints.iter().map(move |e| (number, *e)))
    }

    /// The type of the endpoint at `address`, if there is one.
    #[must_use]
    pub fn kind_of(&self, address: Endpoint) -> Option<EndpointKind> {
        self.endpoints()
            .find(|(_, e)| e.address == address)
            .map(|(_, e)| e.kind)
    }

    /// The descriptor of type `kind` and number `index`.
    ///
    /// # Errors
    /// [`Stall`] for descriptors that the device does not have, strings among them.
    pub fn descriptor(&self, kind: u8, index: u8) -> Result<Vec<u8>, Stall> {
        match (kind, index) {
            (kind::DEVICE, 0) => Ok(self.device()),
            (kind::CONFIGURATION, 0) => Ok(self.configuration()),
            _ => Err(Stall),
        }
    }

    fn device(&self) -> Vec<u8> {
        let [class, subclass, protocol] = self.class;
        let mut bytes = vec![
            18,
            kind::DEVICE,
            0x00,
            0x02,
            class,
            subclass,
            protocol,
            self.control_packet,
        ];
        for word in [self.vendor, self.product, self.version_bcd] {
            bytes.extend(word.to_le_bytes());
        }
        // No strings, one configuration.
        bytes.extend([0, 0, 0, 1]);
        bytes
    }

    fn configuration(&self) -> Vec<u8> {
        let mut rest = Vec::new();
        for (number, interface) in (0..).zip(self.interfaces) {
            let [class, subclass, protocol] = interface.class;
            let count = u8::try_from(interface.endpoints.len()).unwrap_or(u8::MAX);
            rest.extend([
                9,
                kind::INTERFACE,
                number,
                0,
                count,
                class,
                subclass,
                protocol,
                0,
            ]);
            for endpoint in interface.endpoints {
                let [low, high] = endpoint.max_packet.to_le_bytes();
                rest.extend([
                    7,
                    kind::ENDPOINT,
                    endpoint.address.0,
                    endpoint.kind as u8,
                    low,
                    high,
                    endpoint.interval,
                ]);
            }
        }
        let [low, high] = u16::try_from(9 + rest.len())
            .unwrap_or(u16::MAX)
            .to_le_bytes();
        let count = u8::try_from(self.interfaces.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![
            9,
            kind::CONFIGURATION,
            low,
            high,
            count,
            CONFIGURATION,
            0,
            self.attributes,
            self.max_power,
        ];
        bytes.append(&mut rest);
        bytes
    }
}
