//! The telnet side of a serial port on the network, for `rfc2217:` (RFC 854, RFC 856, RFC 2217). Pure.
//!
//! Binary transmission is agreed upon and the rate is set; every other option is refused.

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
const BINARY: u8 = 0;
const SUPPRESS_GO_AHEAD: u8 = 3;
const COM_PORT: u8 = 44;
const SET_BAUDRATE: u8 = 1;

/// Where a reader is in what the server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Data,
    Command,
    /// Behind WILL, WONT, DO or DONT.
    Option(u8),
    Subnegotiation,
    SubnegotiationCommand,
}

/// Takes telnet's commands out of what a server sends.
#[derive(Debug, Default)]
pub(super) struct Telnet {
    state: State,
}

impl Telnet {
    /// What a client says first: binary both ways, no go-aheads, and this many bits a second.
    pub(super) fn greeting(baud: u32) -> Vec<u8> {
        let mut out = vec![IAC, WILL, BINARY, IAC, DO, BINARY];
        out.extend([IAC, WILL, SUPPRESS_GO_AHEAD, IAC, DO, SUPPRESS_GO_AHEAD]);
        out.extend([IAC, WILL, COM_PORT, IAC, SB, COM_PORT, SET_BAUDRATE]);
        out.extend(encoded(&baud.to_be_bytes()));
        out.extend([IAC, SE]);
        out
    }

    /// The bytes of the serial port in `bytes`, and what must be answered.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut data, mut answer) = (Vec::new(), Vec::new());
        for byte in bytes {
            self.state = match (self.state, *byte) {
                (State::Data, IAC) => State::Command,
                (State::Data, byte) => {
                    data.push(byte);
                    State::Data
                }
                (State::Command, IAC) => {
                    data.push(IAC);
                    State::Data
                }
                (State::Command, SB) => State::Subnegotiation,
                (State::Command, command @ WILL..=DONT) => State::Option(command),
                (State::Command, _) => State::Data,
                (State::Option(command), option) => {
                    let known = [BINARY, SUPPRESS_GO_AHEAD, COM_PORT].contains(&option);
                    match command {
                        // To what was asked for in the greeting the server's consent is no question.
                        WILL if !known => answer.extend([IAC, DONT, option]),
                        DO if !known => answer.extend([IAC, WONT, option]),
                        _ => {}
                    }
                    State::Data
                }
                (State::Subnegotiation, IAC) => State::SubnegotiationCommand,
                (State::Subnegotiation, _) => State::Subnegotiation,
                (State::SubnegotiationCommand, SE) => State::Data,
                (State::SubnegotiationCommand, _) => State::Subnegotiation,
            };
        }
        (data, answer)
    }
}

/// Bytes for the serial port as telnet carries them.
pub(super) fn encoded(bytes: &[u8]) -> Vec<u8> {
    let doubled = bytes.iter().flat_map(|byte| match *byte {
        IAC => [Some(IAC), Some(IAC)],
        byte => [Some(byte), None],
    });
    doubled.flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_go_and_unknown_options_are_refused() {
        let mut telnet = Telnet::default();
        let sent = [
            &b"U-B"[..],
            &[IAC, WILL, 1, IAC, DO, BINARY, IAC, DO, 24],
            &[IAC, SB, COM_PORT, 101, 0, IAC, IAC, 194, 0, IAC, SE],
            b"oot",
            &[IAC, IAC],
        ]
        .concat();
        // However it comes in pieces.
        let (mut data, mut answer) = (Vec::new(), Vec::new());
        for byte in sent {
            let (d, a) = telnet.take(&[byte]);
            data.extend(d);
            answer.extend(a);
        }
        assert_eq!(data, b"U-Boot\xff");
        assert_eq!(answer, [IAC, DONT, 1, IAC, WONT, 24]);
    }

    #[test]
    fn the_greeting_sets_the_rate() {
        let greeting = Telnet::greeting(115_200);
        assert!(greeting.ends_with(&[IAC, SB, COM_PORT, SET_BAUDRATE, 0, 1, 0xc2, 0, IAC, SE]));
        // 65535 has bytes that telnet doubles.
        assert!(Telnet::greeting(65_535).ends_with(&[0, 0, IAC, IAC, IAC, IAC, IAC, SE]));
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let (data, answer) = Telnet::default().take(&encoded(&bytes));
            prop_assert_eq!(data, bytes);
            prop_assert!(answer.is_empty());
        }
    }
}
