//! What is converted and committed together: objects of messages, until they are many, large or old enough.

use crate::units::ByteCount;
use std::time::{Duration, Instant};

/// When a window closes: by what comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    /// JSON bytes, estimated.
    pub bytes: ByteCount,
    /// Objects.
    pub objects: usize,
    /// The time since its first message was received.
    pub age: Duration,
}

impl Default for WindowLimits {
    /// Returns 64 MB, 10,000 objects or five minutes.
    fn default() -> Self {
        Self { bytes: ByteCount::mb(64), objects: 10_000, age: Duration::from_secs(300) }
    }
}

/// Why a window closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It has its bytes or objects.
    Full,
    /// It is old.
    Aged,
}

/// A window that is being filled with items of a kind.
#[derive(Clone, Debug)]
pub struct Window<T> {
    items: Vec<T>,
    bytes: u64,
    objects: usize,
    opened: Option<Instant>,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self { items: Vec::new(), bytes: 0, objects: 0, opened: None }
    }
}

impl<T> Window<T> {
    /// Adds an item that names some objects.
    pub fn add(&mut self, item: T, objects: usize, bytes: u64, now: Instant) {
        self.opened.get_or_insert(now);
        self.items.push(item);
        self.objects += objects;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Returns whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns why it is to be closed, if it is.
    pub fn closing(&self, limits: &WindowLimits, now: Instant) -> Option<Closing> {
        let is_full = self.bytes >= limits.bytes.0 || self.objects >= limits.objects;
        let is_old = self.time_left(limits, now).is_some_and(|left| left.is_zero());
        match (is_full, is_old) {
            _ if self.items.is_empty() => None,
            (true, _) => Some(Closing::Full),
            (_, true) => Some(Closing::Aged),
            _ => None,
        }
    }

    /// Returns the time until it is old; none for an empty one.
    pub fn time_left(&self, limits: &WindowLimits, now: Instant) -> Option<Duration> {
        let opened = self.opened?;
        Some(limits.age.saturating_sub(now.saturating_duration_since(opened)))
    }

    /// Takes everything out.
    pub fn take(&mut self) -> Vec<T> {
        std::mem::take(self).items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_closes_by_bytes_objects_or_age_and_never_empty() {
        let limits =
            WindowLimits { bytes: ByteCount(100), objects: 3, age: Duration::from_secs(10) };
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(11));
        let mut window = Window::default();
        assert_eq!(
            (window.closing(&limits, later), window.time_left(&limits, later)),
            (None, None)
        );

        window.add('a', 1, 10, now);
        assert_eq!(window.closing(&limits, now), None);
        assert_eq!(window.closing(&limits, later), Some(Closing::Aged));
        window.add('b', 1, 90, now);
        assert_eq!(window.closing(&limits, now), Some(Closing::Full), "bytes");
        assert_eq!(window.take(), ['a', 'b']);

        window.add('c', 3, 0, now);
        assert_eq!(window.closing(&limits, now), Some(Closing::Full), "objects");
    }
}
