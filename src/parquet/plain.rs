//! Values in Parquet's plain encoding.

use crate::parquet::bounds::Bounds;
use crate::parquet::leaf::Leaf;
use std::ops::Range;

/// Appends the plain values, and returns their bounds.
pub(super) fn plain(leaf: &Leaf<'_>, range: Range<usize>, out: &mut Vec<u8>) -> Option<Bounds> {
    match leaf {
        Leaf::Text { .. } | Leaf::Interned { .. } | Leaf::Numbered { .. } => {
            range.clone().for_each(|number| plain_text(leaf.text(number), out));
            Bounds::of_texts(range.map(|number| leaf.text(number)))
        }
        Leaf::Bigint(values) => {
            let values = &values[range];
            for value in values {
                out.extend_from_slice(&value.to_le_bytes());
            }
            let bounds = values.iter().min().zip(values.iter().max());
            bounds.map(|(min, max)| Bounds::new(min.to_le_bytes(), max.to_le_bytes()))
        }
        Leaf::Double(values) => {
            let values = &values[range];
            for value in values {
                out.extend_from_slice(&value.to_le_bytes());
            }
            let min = values.iter().copied().reduce(f64::min)?;
            let max = values.iter().copied().reduce(f64::max)?;
            // Parquet: a zero minimum is written negative, a zero maximum positive.
            let min = if min == 0.0 { -0.0 } else { min };
            let max = if max == 0.0 { 0.0 } else { max };
            Some(Bounds::new(min.to_le_bytes(), max.to_le_bytes()))
        }
        Leaf::Boolean(values) => {
            let values = &values[range];
            for eight in values.chunks(8) {
                let byte =
                    eight.iter().enumerate().fold(0, |byte, (i, bit)| byte | (u8::from(*bit) << i));
                out.push(byte);
            }
            let all = values.iter().all(|v| *v);
            let any = values.iter().any(|v| *v);
            (!values.is_empty()).then(|| Bounds::new([u8::from(all)], [u8::from(any)]))
        }
    }
}

/// Appends a text with its length.
pub(super) fn plain_text(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}
