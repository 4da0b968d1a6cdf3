//! The bytes behind the common header, message type by message type.

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};

use super::error::DecodeError;
use super::message::{
    BulkHeader, Caps, ControlHeader, DeviceConnect, EndpointEntry, InterfaceEntry, InterruptHeader,
    Message, kind,
};
use crate::usb::device::Endpoint;

/// Length of the hello's version text, in bytes, padded with zeros.
const VERSION_LENGTH: usize = 64;
/// Entries in the interface and endpoint tables.
const TABLE: usize = 32;

impl Message {
    /// The type as it stands in the header.
    pub(in crate::usb) const fn kind(&self) -> u32 {
        match self {
            Self::Hello { .. } => kind::HELLO,
            Self::DeviceConnect(_) => kind::DEVICE_CONNECT,
            Self::DeviceDisconnect => kind::DEVICE_DISCONNECT,
            Self::Reset => kind::RESET,
            Self::InterfaceInfo(_) => kind::INTERFACE_INFO,
            Self::EpInfo(_) => kind::EP_INFO,
            Self::SetConfiguration { .. } => kind::SET_CONFIGURATION,
            Self::GetConfiguration => kind::GET_CONFIGURATION,
            Self::ConfigurationStatus { .. } => kind::CONFIGURATION_STATUS,
            Self::SetAltSetting { .. } => kind::SET_ALT_SETTING,
            Self::GetAltSetting { .. } => kind::GET_ALT_SETTING,
            Self::AltSettingStatus { .. } => kind::ALT_SETTING_STATUS,
            Self::StartInterruptReceiving { .. } => kind::START_INTERRUPT_RECEIVING,
            Self::StopInterruptReceiving { .. } => kind::STOP_INTERRUPT_RECEIVING,
            Self::InterruptReceivingStatus { .. } => kind::INTERRUPT_RECEIVING_STATUS,
            Self::CancelDataPacket => kind::CANCEL_DATA_PACKET,
            Self::Control { .. } => kind::CONTROL_PACKET,
            Self::Bulk { .. } => kind::BULK_PACKET,
            Self::Interrupt { .. } => kind::INTERRUPT_PACKET,
            Self::Other { kind, .. } => *kind,
        }
    }
}

/// Reads the body of a message of type `kind`. Bytes beyond what a type needs are ignored, as later versions may add some.
pub(super) fn decode(kind: u32, body: Bytes, caps: Caps) -> Result<Message, DecodeError> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    match parse(kind, body, caps) {
        Ok(Message::InterfaceInfo(list)) if list.len() > TABLE => {
            Err(DecodeError::InterfaceCount {
                count: u32::try_from(list.len()).unwrap_or(u32::MAX),
            })
        }
        Ok(message) => Ok(message),
        Err(_) => Err(DecodeError::Truncated { kind, length }),
    }
}

fn parse(kind: u32, mut body: Bytes, caps: Caps) -> Result<Message, TryGetError> {
    let endpoint = |body: &mut Bytes| body.try_get_u8().map(Endpoint);
    Ok(match kind {
        kind::HELLO => {
            let mut version = [0; VERSION_LENGTH];
            body.try_copy_to_slice(&mut version)?;
            let text = version.split(|&byte| byte == 0).next().unwrap_or_default();
            Message::Hello {
                version: String::from_utf8_lossy(text).into_owned(),
                // Very old peers send none, newer ones may send several words.
                caps: Caps(body.try_get_u32_le().unwrap_or(0)),
            }
        }
        kind::DEVICE_CONNECT => Message::DeviceConnect(DeviceConnect {
            speed: body.try_get_u8()?.into(),
            class: body.try_get_u8()?,
            subclass: body.try_get_u8()?,
            protocol: body.try_get_u8()?,
            vendor: body.try_get_u16_le()?,
            product: body.try_get_u16_le()?,
            version_bcd: match caps.has(Caps::CONNECT_DEVICE_VERSION) {
                true => body.try_get_u16_le()?,
                false => 0,
            },
        }),
        kind::DEVICE_DISCONNECT => Message::DeviceDisconnect,
        kind::RESET => Message::Reset,
        kind::INTERFACE_INFO => Message::InterfaceInfo(interface_info(&mut body)?),
        kind::EP_INFO => Message::EpInfo(ep_info(&mut body, caps)?),
        kind::SET_CONFIGURATION => Message::SetConfiguration {
            configuration: body.try_get_u8()?,
        },
        kind::GET_CONFIGURATION => Message::GetConfiguration,
        kind::CONFIGURATION_STATUS => Message::ConfigurationStatus {
            status: body.try_get_u8()?.into(),
            configuration: body.try_get_u8()?,
        },
        kind::SET_ALT_SETTING => Message::SetAltSetting {
            interface: body.try_get_u8()?,
            alt: body.try_get_u8()?,
        },
        kind::GET_ALT_SETTING => Message::GetAltSetting {
            interface: body.try_get_u8()?,
        },
        kind::ALT_SETTING_STATUS => Message::AltSettingStatus {
            status: body.try_get_u8()?.into(),
            interface: body.try_get_u8()?,
            alt: body.try_get_u8()?,
        },
        kind::START_INTERRUPT_RECEIVING => Message::StartInterruptReceiving {
            endpoint: endpoint(&mut body)?,
        },
        kind::STOP_INTERRUPT_RECEIVING => Message::StopInterruptReceiving {
            endpoint: endpoint(&mut body)?,
        },
        kind::INTERRUPT_RECEIVING_STATUS => Message::InterruptReceivingStatus {
            status: body.try_get_u8()?.into(),
            endpoint: endpoint(&mut body)?,
        },
        kind::CANCEL_DATA_PACKET => Message::CancelDataPacket,
        kind::CONTROL_PACKET => Message::Control {
            header: ControlHeader {
                endpoint: endpoint(&mut body)?,
                request: body.try_get_u8()?,
                request_type: body.try_get_u8()?,
                status: body.try_get_u8()?.into(),
                value: body.try_get_u16_le()?,
                index: body.try_get_u16_le()?,
                length: body.try_get_u16_le()?,
            },
            data: body,
        },
        kind::BULK_PACKET => {
            let mut header = BulkHeader {
                endpoint: endpoint(&mut body)?,
                status: body.try_get_u8()?.into(),
                length: body.try_get_u16_le()?.into(),
                stream_id: body.try_get_u32_le()?,
            };
            if caps.has(Caps::BULK_LENGTH_32) {
                header.length |= u32::from(body.try_get_u16_le()?) << 16;
            }
            Message::Bulk { header, data: body }
        }
        kind::INTERRUPT_PACKET => Message::Interrupt {
            header: InterruptHeader {
                endpoint: endpoint(&mut body)?,
                status: body.try_get_u8()?.into(),
                length: body.try_get_u16_le()?,
            },
            data: body,
        },
        kind => Message::Other { kind, body },
    })
}

/// `interface_count`, then four tables of 32 bytes. A count beyond the tables comes back as too long a list.
fn interface_info(body: &mut Bytes) -> Result<Vec<InterfaceEntry>, TryGetError> {
    let count = body.try_get_u32_le()?;
    let mut list = vec![InterfaceEntry::default(); TABLE + 1];
    let fields: [fn(&mut InterfaceEntry) -> &mut u8; 4] = [
        |e| &mut e.number,
        |e| &mut e.class,
        |e| &mut e.subclass,
        |e| &mut e.protocol,
    ];
    for field in fields {
        for entry in list.iter_mut().take(TABLE) {
            *field(entry) = body.try_get_u8()?;
        }
    }
    list.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    Ok(list)
}

/// Tables of 32: type, interval, interface, and with the capability the packet size.
fn ep_info(body: &mut Bytes, caps: Caps) -> Result<Box<[EndpointEntry; TABLE]>, TryGetError> {
    let mut table = Box::new([EndpointEntry::ABSENT; TABLE]);
    for entry in table.iter_mut() {
        entry.kind = body.try_get_u8()?;
    }
    for entry in table.iter_mut() {
        entry.interval = body.try_get_u8()?;
    }
    for entry in table.iter_mut() {
        entry.interface = body.try_get_u8()?;
    }
    if caps.has(Caps::EP_INFO_MAX_PACKET_SIZE) {
        for entry in table.iter_mut() {
            entry.max_packet = body.try_get_u16_le()?;
        }
    }
    Ok(table)
}

/// Appends the body of `message`.
pub(super) fn encode(message: &Message, caps: Caps, out: &mut BytesMut) {
    match message {
        Message::Hello { version, caps } => {
            // The last byte stays zero, as C readers expect.
            let text = version.as_bytes();
            let text = text.get(..VERSION_LENGTH - 1).unwrap_or(text);
            out.put_slice(text);
            out.put_bytes(0, VERSION_LENGTH - text.len());
            out.put_u32_le(caps.0);
        }
        Message::DeviceConnect(connect) => {
            out.put_slice(&[
                connect.speed.into(),
                connect.class,
                connect.subclass,
                connect.protocol,
            ]);
            out.put_u16_le(connect.vendor);
            out.put_u16_le(connect.product);
            if caps.has(Caps::CONNECT_DEVICE_VERSION) {
                out.put_u16_le(connect.version_bcd);
            }
        }
        Message::InterfaceInfo(list) => put_interface_info(list, out),
        Message::EpInfo(table) => put_ep_info(table, caps, out),
        Message::SetConfiguration { configuration } => out.put_u8(*configuration),
        Message::ConfigurationStatus {
            status,
            configuration,
        } => {
            out.put_slice(&[(*status).into(), *configuration]);
        }
        Message::SetAltSetting { interface, alt } => out.put_slice(&[*interface, *alt]),
        Message::GetAltSetting { interface } => out.put_u8(*interface),
        Message::AltSettingStatus {
            status,
            interface,
            alt,
        } => {
            out.put_slice(&[(*status).into(), *interface, *alt]);
        }
        Message::StartInterruptReceiving { endpoint }
        | Message::StopInterruptReceiving { endpoint } => {
            out.put_u8(endpoint.0);
        }
        Message::InterruptReceivingStatus { status, endpoint } => {
            out.put_slice(&[(*status).into(), endpoint.0]);
        }
        Message::Control { header, data } => {
            out.put_slice(&[
                header.endpoint.0,
                header.request,
                header.request_type,
                header.status.into(),
            ]);
            out.put_u16_le(header.value);
            out.put_u16_le(header.index);
            out.put_u16_le(header.length);
            out.put_slice(data);
        }
        Message::Bulk { header, data } => {
            put_bulk_header(header, caps, out);
            out.put_slice(data);
        }
        Message::Interrupt { header, data } => {
            out.put_slice(&[header.endpoint.0, header.status.into()]);
            out.put_u16_le(header.length);
            out.put_slice(data);
        }
        Message::Other { body, .. } => out.put_slice(body),
        Message::DeviceDisconnect
        | Message::Reset
        | Message::GetConfiguration
        | Message::CancelDataPacket => {}
    }
}

/// Appends a bulk packet's own header: 8 bytes, 10 with [`Caps::BULK_LENGTH_32`].
#[expect(
    clippy::cast_possible_truncation,
    reason = "the length is cut into its two halves"
)]
pub(super) fn put_bulk_header(header: &BulkHeader, caps: Caps, out: &mut impl BufMut) {
    out.put_slice(&[header.endpoint.0, header.status.into()]);
    out.put_u16_le(header.length as u16);
    out.put_u32_le(header.stream_id);
    if caps.has(Caps::BULK_LENGTH_32) {
        out.put_u16_le((header.length >> 16) as u16);
    }
}

fn put_interface_info(list: &[InterfaceEntry], out: &mut BytesMut) {
    let entries = || list.iter().take(TABLE);
    let missing = TABLE - entries().len();
    out.put_u32_le(u32::try_from(entries().len()).unwrap_or_default());
    let fields: [fn(&InterfaceEntry) -> u8; 4] =
        [|e| e.number, |e| e.class, |e| e.subclass, |e| e.protocol];
    for field in fields {
        for entry in entries() {
            out.put_u8(field(entry));
        }
        out.put_bytes(0, missing);
    }
}

fn put_ep_info(table: &[EndpointEntry; TABLE], caps: Caps, out: &mut BytesMut) {
    for entry in table {
        out.put_u8(entry.kind);
    }
    for entry in table {
        out.put_u8(entry.interval);
    }
    for entry in table {
        out.put_u8(entry.interface);
    }
    if caps.has(Caps::EP_INFO_MAX_PACKET_SIZE) {
        for entry in table {
            out.put_u16_le(entry.max_packet);
        }
    }
}
