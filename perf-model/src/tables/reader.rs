//! A cursor over untrusted bytes: every read is checked, nothing panics.

/// A read that the bytes did not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    /// Which part of the file was being read.
    pub(super) part: &'static str,
    /// Byte offset within that part.
    pub(super) at: usize,
}

/// Reads a part of a packed file from its start to its end.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    part: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(part: &'static str, bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, part }
    }

    /// The damage that a caller found in a value just read.
    pub(super) const fn damage(&self) -> Damage {
        Damage {
            part: self.part,
            at: self.at,
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Damage> {
        let end = self.at.checked_add(count).ok_or_else(|| self.damage())?;
        let taken = self.bytes.get(self.at..end).ok_or_else(|| self.damage())?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let damage = self.damage();
        self.take(N)?.try_into().map_err(|_| damage)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Damage> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn fixed_u16(&mut self) -> Result<u16, Damage> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn fixed_u32(&mut self) -> Result<u32, Damage> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn fixed_u64(&mut self) -> Result<u64, Damage> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn finite(&mut self) -> Result<f64, Damage> {
        let damage = self.damage();
        let value = self.array().map(f64::from_le_bytes)?;
        if value.is_finite() { Ok(value) } else { Err(damage) }
    }

    /// A LEB128 integer of at most 32 bits.
    pub(super) fn integer(&mut self) -> Result<u32, Damage> {
        let damage = self.damage();
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| damage);
            }
        }
        Err(damage)
    }

    /// A LEB128 integer not above `most`, as a size.
    pub(super) fn size(&mut self, most: usize) -> Result<usize, Damage> {
        let damage = self.damage();
        let value = usize::try_from(self.integer()?).map_err(|_| damage)?;
        if value <= most { Ok(value) } else { Err(damage) }
    }

    /// The number of items that follow, each of at least one byte.
    pub(super) fn count(&mut self) -> Result<usize, Damage> {
        self.size(self.bytes.len())
    }

    pub(super) fn text(&mut self) -> Result<String, Damage> {
        let damage = self.damage();
        let length = self.count()?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| damage)
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>, Damage> {
        (0..self.count()?).map(|_| self.text()).collect()
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), Damage> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.damage())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    #[test]
    fn integers_of_every_length_are_read() {
        let mut reader = Reader::new("test", &[0x05, 0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(reader.integer(), Ok(5));
        assert_eq!(reader.integer(), Ok(128));
        assert_eq!(reader.integer(), Ok(u32::MAX));
        assert!(reader.end().is_ok());
    }

    #[test]
    fn oversized_truncated_and_endless_values_are_damage() {
        assert!(
            Reader::new("test", &[0xff, 0xff, 0xff, 0xff, 0x1f])
                .integer()
                .is_err()
        );
        assert!(Reader::new("test", &[0x80; 9]).integer().is_err());
        assert!(Reader::new("test", &[0x80]).integer().is_err());
        assert!(Reader::new("test", &[200, b'a']).text().is_err());
        assert!(Reader::new("test", &[1, 0xff]).text().is_err());
        assert!(Reader::new("test", &f64::NAN.to_le_bytes()).finite().is_err());
        assert_eq!(Reader::new("test", &[1, 2]).end().unwrap_err().at, 0);
    }
}
