//! The parameters with which a list is asked for page by page.

use crate::ApiError;

/// A whole number from 1 to `max`, `otherwise` if the parameter `name` is not there.
///
/// # Errors
/// 400.
pub fn count(name: &str, parameter: Option<&str>, otherwise: usize, max: usize) -> Result<usize, ApiError> {
    let Some(text) = parameter else { return Ok(otherwise) };
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| ApiError::bad_request(format!("`{name}` must be a whole number from 1 to {max}")))
}

/// Where a page begins, as `parse` reads it; `None` if the parameter is not there.
///
/// # Errors
/// 400.
pub fn cursor<T>(
    parameter: Option<&str>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    let bad = || ApiError::bad_request("`cursor` must be the `next_cursor` of an earlier page");
    parameter.map(|text| parse(text).ok_or_else(bad)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_bounds() {
        let read = |text| count("limit", text, 20, 100).ok();
        assert_eq!((read(None), read(Some("1")), read(Some("100"))), (Some(20), Some(1), Some(100)));
        for text in ["0", "101", "-1", "1.5", "", "x"] {
            assert_eq!(read(Some(text)), None, "{text}");
        }
    }

    #[test]
    fn a_cursor_is_one_of_ours_or_none() {
        let read = |text| cursor(text, |text| text.parse::<u8>().ok()).ok();
        assert_eq!((read(None), read(Some("7")), read(Some("x"))), (Some(None), Some(Some(7)), None));
    }
}
