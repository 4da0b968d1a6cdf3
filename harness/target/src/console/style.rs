//! Colours of a terminal's text.
//!
//! Source: ECMA-48, 8.3.117 (SGR), and the extensions for 256 and direct colours of ISO 8613-6 as xterm writes them.

use vte::Params;

/// How text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Colour of the text; `None` is the terminal's own.
    pub foreground: Option<Colour>,
    /// Colour behind it.
    pub background: Option<Colour>,
    /// Bold.
    pub bold: bool,
    /// Dim.
    pub dim: bool,
    /// Underlined.
    pub underline: bool,
    /// Foreground and background change places.
    pub inverse: bool,
}

/// A terminal's colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// One of the sixteen whose look is the terminal's choice.
    Palette(u8),
    /// Red, green, blue.
    Direct(u8, u8, u8),
}

impl Style {
    /// The style after a "select graphic rendition".
    pub(super) fn select(&mut self, params: &Params) {
        let mut codes = params.iter().flatten().copied();
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                4 => self.underline = true,
                7 => self.inverse = true,
                22 => (self.bold, self.dim) = (false, false),
                24 => self.underline = false,
                27 => self.inverse = false,
                30..=37 => self.foreground = palette(code - 30),
                38 => self.foreground = extended(&mut codes).or(self.foreground),
                39 => self.foreground = None,
                40..=47 => self.background = palette(code - 40),
                48 => self.background = extended(&mut codes).or(self.background),
                49 => self.background = None,
                90..=97 => self.foreground = palette(code - 82),
                100..=107 => self.background = palette(code - 92),
                _ => {}
            }
        }
    }
}

fn palette(index: u16) -> Option<Colour> {
    u8::try_from(index).ok().map(Colour::Palette)
}

/// What follows 38 or 48: `5;N` or `2;R;G;B`.
fn extended(codes: &mut impl Iterator<Item = u16>) -> Option<Colour> {
    let mut byte = || codes.next().and_then(|code| u8::try_from(code).ok());
    match byte()? {
        5 => Some(indexed(byte()?)),
        2 => Some(Colour::Direct(byte()?, byte()?, byte()?)),
        _ => None,
    }
}

/// A colour of xterm's 256: sixteen of the palette, a cube of 6 × 6 × 6, 24 greys.
fn indexed(index: u8) -> Colour {
    let level = |n: u8| if n == 0 { 0 } else { 55 + n * 40 };
    match index {
        0..=15 => Colour::Palette(index),
        16..=231 => {
            let n = index - 16;
            Colour::Direct(level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        232..=255 => {
            let grey = 8 + (index - 232) * 10;
            Colour::Direct(grey, grey, grey)
        }
    }
}
