//! The messages as types.

use bytes::Bytes;

use crate::usb::device::Endpoint;

/// Message types, as they stand in the header.
pub(in crate::usb) mod kind {
    pub(in crate::usb) const HELLO: u32 = 0;
    pub(in crate::usb) const DEVICE_CONNECT: u32 = 1;
    pub(in crate::usb) const DEVICE_DISCONNECT: u32 = 2;
    pub(in crate::usb) const RESET: u32 = 3;
    pub(in crate::usb) const INTERFACE_INFO: u32 = 4;
    pub(in crate::usb) const EP_INFO: u32 = 5;
    pub(in crate::usb) const SET_CONFIGURATION: u32 = 6;
    pub(in crate::usb) const GET_CONFIGURATION: u32 = 7;
    pub(in crate::usb) const CONFIGURATION_STATUS: u32 = 8;
    pub(in crate::usb) const SET_ALT_SETTING: u32 = 9;
    pub(in crate::usb) const GET_ALT_SETTING: u32 = 10;
    pub(in crate::usb) const ALT_SETTING_STATUS: u32 = 11;
    pub(in crate::usb) const START_INTERRUPT_RECEIVING: u32 = 15;
    pub(in crate::usb) const STOP_INTERRUPT_RECEIVING: u32 = 16;
    pub(in crate::usb) const INTERRUPT_RECEIVING_STATUS: u32 = 17;
    pub(in crate::usb) const CANCEL_DATA_PACKET: u32 = 21;
    pub(in crate::usb) const CONTROL_PACKET: u32 = 100;
    pub(in crate::usb) const BULK_PACKET: u32 = 101;
    pub(in crate::usb) const INTERRUPT_PACKET: u32 = 103;
}

/// Capabilities as the hello carries them: a bit each. They decide the size of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::usb) struct Caps(pub(in crate::usb) u32);

impl Caps {
    /// `device_connect` has the device's version.
    pub(in crate::usb) const CONNECT_DEVICE_VERSION: Self = Self(1 << 1);
    /// `ep_info` has the packet sizes.
    pub(in crate::usb) const EP_INFO_MAX_PACKET_SIZE: Self = Self(1 << 4);
    /// Packet identifiers have 64 bits.
    pub(in crate::usb) const IDS_64: Self = Self(1 << 5);
    /// Bulk packets have 32 bits of length.
    pub(in crate::usb) const BULK_LENGTH_32: Self = Self(1 << 6);

    /// Both sets together.
    pub(in crate::usb) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets: the capabilities in force once both hellos are known.
    pub(in crate::usb) const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// True when every capability of `other` is in this set.
    pub(in crate::usb) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usb) enum Status {
    /// 0: done.
    Success,
    /// 1: the guest took the request back, or the device was withdrawn.
    Cancelled,
    /// 2: the request makes no sense.
    Invalid,
    /// 4: the endpoint answered STALL.
    Stall,
    /// Any other value. In requests the field means nothing; QEMU leaves it uninitialised there.
    Other(u8),
}

/// Bus speeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usb) enum Speed {
    /// 480 Mbit/s, value 2.
    High,
    /// Any other value.
    Other(u8),
}

/// A message and the identifier that ties an answer to its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::usb) struct Packet {
    /// Chosen by the sender of the request; repeated in the answer. 0 in messages that nobody answers.
    pub(in crate::usb) id: u64,
    /// What is said.
    pub(in crate::usb) message: Message,
}

/// What can be said. Streams, isochronous transfers, buffered bulk reading and filters are not offered and not modelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::usb) enum Message {
    /// First message each way.
    Hello { version: String, caps: Caps },
    /// The device is plugged in.
    DeviceConnect(DeviceConnect),
    /// The device is withdrawn.
    DeviceDisconnect,
    /// The guest resets the port.
    Reset,
    /// The interfaces of the active configuration, at most 32.
    InterfaceInfo(Vec<InterfaceEntry>),
    /// The endpoints: 0 to 15 OUT, then 0 to 15 IN.
    EpInfo(Box<[EndpointEntry; 32]>),
    /// The guest selects a configuration.
    SetConfiguration { configuration: u8 },
    /// The guest asks for the configuration.
    GetConfiguration,
    /// Answer to both.
    ConfigurationStatus { status: Status, configuration: u8 },
    /// The guest selects an interface's alternate setting.
    SetAltSetting { interface: u8, alt: u8 },
    /// The guest asks for an interface's alternate setting.
    GetAltSetting { interface: u8 },
    /// Answer to both.
    AltSettingStatus {
        status: Status,
        interface: u8,
        alt: u8,
    },
    /// From now on interrupt packets are welcome.
    StartInterruptReceiving { endpoint: Endpoint },
    /// They no longer are.
    StopInterruptReceiving { endpoint: Endpoint },
    /// Answer to both.
    InterruptReceivingStatus { status: Status, endpoint: Endpoint },
    /// The guest takes the request with this identifier back.
    CancelDataPacket,
    /// A control transfer. Data goes with the request (OUT) or with the answer (IN).
    Control { header: ControlHeader, data: Bytes },
    /// A bulk transfer.
    Bulk { header: BulkHeader, data: Bytes },
    /// An interrupt transfer; IN ones are unasked for.
    Interrupt {
        header: InterruptHeader,
        data: Bytes,
    },
    /// A message type without a use here, and its bytes.
    Other { kind: u32, body: Bytes },
}

/// `usb_redir_device_connect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usb) struct DeviceConnect {
    pub(in crate::usb) speed: Speed,
    pub(in crate::usb) class: u8,
    pub(in crate::usb) subclass: u8,
    pub(in crate::usb) protocol: u8,
    pub(in crate::usb) vendor: u16,
    pub(in crate::usb) product: u16,
    /// Needs [`Caps::CONNECT_DEVICE_VERSION`], else 0.
    pub(in crate::usb) version_bcd: u16,
}

/// One interface in `usb_redir_interface_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::usb) struct InterfaceEntry {
    pub(in crate::usb) number: u8,
    pub(in crate::usb) class: u8,
    pub(in crate::usb) subclass: u8,
    pub(in crate::usb) protocol: u8,
}

/// One endpoint in `usb_redir_ep_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usb) struct EndpointEntry {
    /// Same as `bmAttributes`; 255 where there is no endpoint.
    pub(in crate::usb) kind: u8,
    /// Same as `bInterval`. QEMU refuses devices with 0 for an interrupt endpoint.
    pub(in crate::usb) interval: u8,
    pub(in crate::usb) interface: u8,
    /// Bytes. Needs [`Caps::EP_INFO_MAX_PACKET_SIZE`], else 0.
    pub(in crate::usb) max_packet: u16,
}

impl EndpointEntry {
    /// No endpoint here.
    pub(in crate::usb) const ABSENT: Self = Self {
        kind: 255,
        interval: 0,
        interface: 0,
        max_packet: 0,
    };
}

/// `usb_redir_control_packet`: the set-up stage and the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usb) struct ControlHeader {
    pub(in crate::usb) endpoint: Endpoint,
    pub(in crate::usb) request: u8,
    pub(in crate::usb) request_type: u8,
    pub(in crate::usb) status: Status,
    pub(in crate::usb) value: u16,
    pub(in crate::usb) index: u16,
    /// Bytes asked for in a request; bytes moved in an answer.
    pub(in crate::usb) length: u16,
}

/// `usb_redir_bulk_packet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usb) struct BulkHeader {
    pub(in crate::usb) endpoint: Endpoint,
    pub(in crate::usb) status: Status,
    /// Bytes asked for in a request, bytes moved in an answer. Above 65535 needs [`Caps::BULK_LENGTH_32`].
    pub(in crate::usb) length: u32,
    pub(in crate::usb) stream_id: u32,
}

/// `usb_redir_interrupt_packet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usb) struct InterruptHeader {
    pub(in crate::usb) endpoint: Endpoint,
    pub(in crate::usb) status: Status,
    pub(in crate::usb) length: u16,
}

impl From<u8> for Status {
    fn from(value: u8) -> Self {
        match value {
            0 => Self::Success,
            1 => Self::Cancelled,
            2 => Self::Invalid,
            4 => Self::Stall,
            other => Self::Other(other),
        }
    }
}

impl From<Status> for u8 {
    fn from(status: Status) -> Self {
        match status {
            Status::Success => 0,
            Status::Cancelled => 1,
            Status::Invalid => 2,
            Status::Stall => 4,
            Status::Other(other) => other,
        }
    }
}

impl From<u8> for Speed {
    fn from(value: u8) -> Self {
        match value {
            2 => Self::High,
            other => Self::Other(other),
        }
    }
}

impl From<Speed> for u8 {
    fn from(speed: Speed) -> Self {
        match speed {
            Speed::High => 2,
            Speed::Other(other) => other,
        }
    }
}
