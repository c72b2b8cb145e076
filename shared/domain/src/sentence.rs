//! Sentences for people: they begin with a capital and end with a full stop, whoever wrote them.

/// `text` as one or more sentences. What begins with the name of a field says that it is about that field's value.
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let begun = match letters.next() {
        None => return String::new(),
        Some('`') => format!("The value of {text}"),
        Some(first) if first.is_lowercase() => first.to_uppercase().chain(letters).collect(),
        Some(_) => text.to_owned(),
    };
    if text.ends_with(['.', '!', '?', '…']) { begun } else { begun + "." }
}

/// Whether `text` is made of sentences: for tests that look at what people are told.
#[must_use]
pub fn is_sentence(text: &str) -> bool {
    let begins = text.chars().next().is_some_and(|first| !first.is_lowercase() && first.is_alphanumeric());
    begins && text.ends_with(['.', '!', '?', '…']) && text.trim() == text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_become_sentences() {
        for (text, told) in [
            ("the body is empty", "The body is empty."),
            ("`url` must name a host", "The value of `url` must name a host."),
            ("Sign in first.", "Sign in first."),
            ("5 requests pass in a minute", "5 requests pass in a minute."),
            ("über alles", "Über alles."),
            ("is it there?", "Is it there?"),
            (" give names like https://example.com/a.mp4 ", "Give names like https://example.com/a.mp4."),
        ] {
            assert_eq!(sentence(text), told);
        }
        assert_eq!(sentence(" "), "");
        for text in ["", "the end.", "The end", "`url` must be.", " The end."] {
            assert!(!is_sentence(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_sentence_stays_as_it_is(text in "[a-zA-Z`0-9][ -~]{0,40}") {
            let told = sentence(&text);
            prop_assert!(is_sentence(&told), "{}", told);
            prop_assert_eq!(sentence(&told), told);
        }
    }
}
