//! Words without markup.

/// The named character references that captions use; numbers are understood as well.
const NAMED: [(&str, &str); 8] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("lrm", ""),
    ("rlm", ""),
];

/// A line without tags (`<c.x>`, `<00:00:01.000>`, `<v Ann>`, `{\an8}`), with its character references resolved and white
/// space in its plain form.
pub(super) fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    // Where the last tag and the last override end: what opens behind that never closes, and nobody looks for its end again.
    let (last_tag, last_brace) = (line.rfind('>').unwrap_or(0), line.rfind('}').unwrap_or(0));
    while let Some(at) = rest.find(['<', '&', '{']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let here = line.len() - rest.len();
        let taken = match rest.as_bytes().first() {
            Some(b'<') if here < last_tag => tag(rest),
            Some(b'{') if here < last_brace && rest.starts_with("{\\") => rest.find('}').map(|end| end + 1),
            Some(b'&') => reference(rest, &mut text),
            _ => None,
        };
        let taken = taken.unwrap_or_else(|| {
            text.push_str(&rest[..1]);
            1
        });
        rest = &rest[taken..];
    }
    text.push_str(rest);
    let words = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The length of a tag: `<` before a letter, a digit or `/`, up to the next `>`. Anything else is a less-than sign.
fn tag(text: &str) -> Option<usize> {
    let next = text.as_bytes().get(1)?;
    (next.is_ascii_alphanumeric() || *next == b'/').then(|| text.find('>').map(|end| end + 1)).flatten()
}

/// Writes what a character reference stands for, and gives its length.
fn reference(text: &str, out: &mut String) -> Option<usize> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        out.push(char::from_u32(code)?);
    } else {
        out.push_str(NAMED.iter().find(|(known, _)| *known == name)?.1);
    }
    Some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_words_stay() {
        for (line, words) in [
            ("<c.colorE5E5E5>Hello</c><00:00:01.000><c> world</c>", "Hello world"),
            ("<v Ann Smith>Hi &amp; bye</v>", "Hi & bye"),
            ("{\\an8}<i>above</i>", "above"),
            ("{braces} stay", "{braces} stay"),
            ("1 < 2 && 3 > 2", "1 < 2 && 3 > 2"),
            ("a &lt;b&gt; c", "a <b> c"),
            ("don&#39;t &#x1F600; &nope; &#xD800; &", "don't \u{1F600} &nope; &#xD800; &"),
            ("  two\u{a0} \t words\u{0}", "two words"),
            ("<ruby>漢<rt>かん</rt></ruby> &lrm;שלום", "漢かん שלום"),
            ("<b", "<b"),
            ("", ""),
        ] {
            assert_eq!(plain(line), words, "{line}");
        }
        assert_eq!(plain(&"<b>".repeat(100_000)), "");
        assert_eq!(plain(&"word ".repeat(2000)).len(), 9999, "nothing is cut off");
        // Minutes, if each of them looked for an end that is not there.
        for open in ["<a", "{\\a"] {
            assert_eq!(plain(&open.repeat(1 << 20)).len(), open.len() << 20);
        }
        for open in ["&", "<", "&amp"] {
            assert!(plain(&open.repeat(50_000)).len() >= 50_000, "{open}");
        }
    }
}
