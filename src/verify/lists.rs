//! Lists of a column: where the elements of each row are.

use polars::prelude::ListChunked;

/// Returns where each row's elements lie among the inner values; `None` for a null.
pub(super) fn spans(list: &ListChunked) -> Option<Vec<Option<(usize, usize)>>> {
    let validity = list.rechunk_validity();
    let mut chunks = list.downcast_iter();
    let (first, rest) = (chunks.next(), chunks.next());
    if rest.is_some() {
        return None;
    }
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the type is of a crate that is not ours to name"
    )]
    let offsets = first.map(|chunk| chunk.offsets());
    let span = |at: usize| {
        let is_null = validity.as_ref().is_some_and(|bits| !bits.get_bit(at));
        offsets.filter(|_| !is_null).map(|offsets| offsets.start_end(at))
    };
    Some((0..list.len()).map(span).collect())
}
