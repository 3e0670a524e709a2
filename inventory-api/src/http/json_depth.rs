//! How deep a body is nested, found out before anything parses it.

/// Whether this text opens more than `limit` objects and lists within each other. Needs no valid
/// JSON: what is none is refused by the parser.
pub(crate) fn is_deeper_than(limit: usize, body: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_text(&mut bytes),
            _ => {}
        }
    }
    false
}

fn skip_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_deeper_than;

    #[test]
    fn what_is_open_at_once_counts_and_texts_do_not() {
        assert!(!is_deeper_than(2, br#"[{},{},[1],{"a":"[[[["}]"#));
        assert!(is_deeper_than(2, b"[[[1]]]"));
        assert!(is_deeper_than(2, br#"{"a":[{"#));
        // An escaped quotation mark does not end a text, an escaped backslash before one does.
        assert!(!is_deeper_than(1, br#"["\"[[["]"#));
        assert!(is_deeper_than(1, br#"["\\",["a"]]"#));
        assert!(!is_deeper_than(1, b"]]]]["));
        assert!(!is_deeper_than(0, b"\"open [["));
        assert!(is_deeper_than(32, &vec![b'['; 1_000_000]));
    }
}
