//! Names for people: what comes from the input and is shown must not act on whoever looks at it.

/// Names come from the input: none ends a line, moves a cursor or turns the text around. What would is
/// written as in a Rust literal, `\n` or `\u{1b}`, so that names stay apart.
pub fn clean(text: &str) -> String {
    escaped(text, false)
}

/// As [`clean`], for a text of several lines.
pub fn clean_lines(text: &str) -> String {
    escaped(text, true)
}

fn escaped(text: &str, has_lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_odd = c.is_control() || is_invisible(c);
        if is_odd && !(has_lines && c == '\n') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Keeps a spreadsheet from taking a value for a formula: user agents and names are written by whoever made
/// the call.
pub fn safe_in_sheet(value: String) -> String {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{value}") } else { value }
}

/// Pads a value to a width, or cuts it.
pub fn fitted(value: &str, width: usize) -> String {
    let length = value.chars().count();
    if length <= width {
        return format!("{value}{}", " ".repeat(width - length));
    }
    value.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Separators of lines, and what turns the direction of a text or hides in it.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_a_line_or_moves_a_cursor() {
        for (name, shown) in [
            ("a\nb", r"a\nb"),
            ("a\r\x1b[2Jb", r"a\r\u{1b}[2Jb"),
            ("tab\there", r"tab\there"),
            ("\u{85}\u{2028}\u{202e}\u{7f}", r"\u{85}\u{2028}\u{202e}\u{7f}"),
            ("été 日本 a'b\"c", "été 日本 a'b\"c"),
        ] {
            assert_eq!(clean(name), shown);
        }
        assert_eq!(clean_lines("a\nb\r"), "a\nb\\r");
    }
}
