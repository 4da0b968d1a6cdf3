//! The control and status registers of a chip: 32-bit words at offsets that are multiples of 4.

/// What is stored in each of `COUNT` registers.
#[derive(Debug)]
pub(in crate::usb) struct RegisterFile<const COUNT: usize>(Box<[u32; COUNT]>);

impl<const COUNT: usize> RegisterFile<COUNT> {
    /// A file with these values at these offsets, and 0 elsewhere.
    pub(in crate::usb) fn with(values: &[(u16, u32)]) -> Self {
        let mut registers = Self(Box::new([0; COUNT]));
        for &(offset, value) in values {
            registers.set(offset, value);
        }
        registers
    }

    /// True for the offset of a register.
    pub(in crate::usb) const fn contains(offset: u16) -> bool {
        offset.is_multiple_of(4) && (offset as usize / 4) < COUNT
    }

    /// The stored value; 0 outside the file.
    pub(in crate::usb) fn get(&self, offset: u16) -> u32 {
        self.0.get(usize::from(offset / 4)).copied().unwrap_or(0)
    }

    /// Stores a value; nothing happens outside the file.
    pub(in crate::usb) fn set(&mut self, offset: u16, value: u32) {
        if let Some(place) = self.0.get_mut(usize::from(offset / 4)) {
            *place = value;
        }
    }

    /// True when every bit of `mask` is set.
    pub(in crate::usb) fn has(&self, offset: u16, mask: u32) -> bool {
        self.get(offset) & mask == mask
    }
}
